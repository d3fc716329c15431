"""The composition root: configuration, rooms put together, middleware in order, servers."""
