"""Authentication: Keystone tokens, grants, or none; each sets the request's identity."""

from factstore.api import agent, docs_ui, versions

PUBLIC_PATHS = versions.PATHS | docs_ui.PATHS | {agent.PATH}
"""Paths that need no credentials."""
