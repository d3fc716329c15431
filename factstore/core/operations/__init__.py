"""Writes: one module a noun decides purely, and the transactor carries every write out."""
