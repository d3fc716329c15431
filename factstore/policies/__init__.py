"""oslo.policy rules: one rule for each operation, and none that allows it by default.

Every module of this package has a list ``RULES``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from oslo_policy import policy


def list_rules() -> Iterator[policy.RuleDefault]:
    """Yield the rules of all modules; this is the entry point of ``oslo.policy.policies``."""
    for module in pkgutil.iter_modules(__path__):
        yield from importlib.import_module(f"{__name__}.{module.name}").RULES
