"""The agent inside an instance: publishes facts, and applies its stack's context to the instance.

The instance is a member while its agent runs, and the facts that the agent published are deleted with
the member.  A context is reported as applied only after all files were written and all hooks succeeded.
The agent may be killed at any moment: what it must not forget is on disk before the service is called.
It reaches the service through :mod:`factstore.client` alone.
"""
