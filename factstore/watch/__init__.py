"""One upstream watch, many readers.

This room guarantees that every reader is told every event of its stack once, in order and whole, or
is told that it cannot be.  It refuses to know where steps come from and how readers are reached.
"""
