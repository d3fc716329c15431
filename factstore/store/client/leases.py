"""What etcd takes on streams only, as calls with one answer: the renewal of leases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def once(keep_alive: Any) -> Callable[..., Any]:
    """A streaming keep-alive as a call with one answer."""

    def call(request: Any, timeout: float, metadata: Any) -> Any:
        answers = keep_alive(iter([request]), timeout=timeout, metadata=metadata)
        try:
            return next(answers)
        finally:
            answers.cancel()

    return call
