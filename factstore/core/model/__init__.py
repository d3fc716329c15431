"""The domain's values, records and grammars: facts, members, waiters, grants and events."""
