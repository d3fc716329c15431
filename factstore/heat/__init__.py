"""Heat's part: what makes a template declare facts, and makes Heat tell of instances.

This room guarantees that a resource acts as the user who creates it, and later by the stack's trust;
that whatever the service says reaches the user as a sentence; and that no thread of Heat's engine waits
long for the service.  It knows the service through the client alone, and no other room knows Heat.
"""
