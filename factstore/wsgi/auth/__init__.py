"""Authentication: Keystone tokens, grants, or none; each sets the request's identity."""

from factstore.api import docs_ui, versions

PUBLIC_PATHS = versions.PATHS | docs_ui.PATHS
"""Paths that need no credentials."""
