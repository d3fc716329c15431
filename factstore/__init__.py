"""Facts of software stacks, kept in etcd and served over REST with Keystone's identities.

Each room below guarantees one thing and says in its docstring what it refuses to know.
"""

SERVICE_TYPE = "contextualization"
"""Name of the API in error codes, policies and ``OpenStack-API-Version``, and its type in the catalog.

An installation can have another type in its catalog.
"""
