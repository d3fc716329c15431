"""Thin HTTP: parse, authorize, call the service, render.  The only room with Flask.

This room guarantees that every answer has the documented form, errors included.  It refuses to know
where facts lie, how a token is validated, and any rule about facts: those are the domain's.
"""
