"""Backends that only the tests use."""
