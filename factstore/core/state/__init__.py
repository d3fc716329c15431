"""The contents of the store at one revision, in memory, and what is derived from them."""
