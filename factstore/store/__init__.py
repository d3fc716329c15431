"""The store: etcd, and the state in memory that follows it.

A commit that this package reports as successful is durable, and a refreshed state is no older than
etcd's newest revision.  The package knows neither users nor the meaning of facts.
"""
