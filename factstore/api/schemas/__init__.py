"""Shapes of queries, request bodies and responses: one module for each noun.

They check requests, and describe requests and responses in the OpenAPI document.  Names inside bodies
are checked by the domain.
"""
