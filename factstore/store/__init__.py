"""Where facts lie: etcd, or memory with the same contract, and the state that follows either.

This room guarantees that what it reports as committed is durable, and that a refreshed state is no
older than the database's head.  It refuses to know who asks, and what a fact means.
"""
