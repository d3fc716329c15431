"""A real Zaqar; run these tests with ``make test-zaqar``."""
