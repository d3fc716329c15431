"""The runtime of this process, for code that nothing can be passed to.

oslo.middleware creates the healthcheck plugins and passes them only its own configuration.
"""

from __future__ import annotations

from factstore.wsgi.runtime import Runtime

_runtime: Runtime | None = None


def set_runtime(runtime: Runtime | None) -> None:
    """Set the runtime of this process."""
    global _runtime
    _runtime = runtime


def get_runtime() -> Runtime | None:
    """Return the runtime of this process, or None if it has not started."""
    return _runtime
