"""A private Heat, with engine and API in one process, for a private Keystone and factstore."""
