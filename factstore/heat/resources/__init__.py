"""The resource types, one module each, and their base classes."""
