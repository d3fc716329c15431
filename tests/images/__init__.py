"""The agent on clean installations of distributions, under a real systemd; ``make test-images``."""
