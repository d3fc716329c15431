"""The part of factstore that runs inside Heat's engine.

A resource acts as the user who creates or updates the stack, and later by the stack's trust.  Errors
reach the user as complete messages, and no thread of the engine waits long for factstore.  This room
uses the client alone, and no other room imports Heat.
"""
