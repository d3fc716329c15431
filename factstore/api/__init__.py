"""The HTTP API: parse and authorize a request, call a service, serialize the result.

This is the only package with Flask.  It guarantees that every response has the documented form, errors
included.  It does not know how facts are stored or tokens validated, and contains no rules about facts;
those are the domain's.
"""
