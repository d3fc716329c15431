"""Entry points of the domain: one service a noun, blocking queries, the watch and the controllers."""
