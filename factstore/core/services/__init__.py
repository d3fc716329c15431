"""Entry points of the domain: a service for each noun, blocking queries, watch and controllers."""
