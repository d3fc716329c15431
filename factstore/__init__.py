"""Facts of software stacks, kept in etcd and served over REST with Keystone's identities.

Each room below guarantees one thing and says in its docstring what it refuses to know.
"""
