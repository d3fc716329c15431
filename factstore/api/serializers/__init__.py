"""Records as JSON texts, one module for each noun, in the shapes of :mod:`factstore.api.schemas`.

The texts of facts, members and events are kept with the record: an event that a thousand watchers
receive is serialized once.
"""
