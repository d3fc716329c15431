"""The keys that seal, where they lie and how they change, and the one use of a library for ciphers.

This room knows no facts: it wraps, encrypts and binds bytes.
"""
