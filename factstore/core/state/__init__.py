"""Everything that the store holds at one revision, in memory, and what follows from it."""
