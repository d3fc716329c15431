"""The agent inside an instance: tells facts, and brings the instance in line with its stack's context.

This room guarantees that an instance is a member for as long as its agent runs, that what it tells
goes with it, and that "applied" is said of a context only when all files were written and all hooks
succeeded.  It survives whatever kills it at whatever moment: what it must not forget is on disk before
anybody is told.  It knows the service through the client alone.
"""
