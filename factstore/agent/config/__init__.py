"""The configuration of the agent: its options, their types and their defaults."""
