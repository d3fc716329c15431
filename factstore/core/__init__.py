"""The domain: facts, stacks, cursors, events and the rules that bind them.

Standard library only.  Every rule lives here, once.  This room knows nothing of HTTP, of etcd or of
how it is configured: what it needs from outside it declares in :mod:`factstore.core.ports`.
"""
