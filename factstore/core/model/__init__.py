"""Values, records and grammar: facts, members, waiters, grants, events and what they are made of."""
