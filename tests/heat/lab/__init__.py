"""A private Heat: engine and API in one process, beside the private Keystone and factstore."""
