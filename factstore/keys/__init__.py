"""The keys that seal sensitive facts: their repository, their rotation, and encryption.

The package works on bytes and does not know facts.  No other package imports a library for ciphers.
"""
