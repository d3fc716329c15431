"""Rewrites templates that keep facts in launch configurations, to data bags.

The text is edited in place: outside the rewritten parts every byte stays.  What cannot be rewritten is
reported with its line.  This room neither reads files nor sends requests.
"""

from factstore.migrate.evaluate import Unresolved, evaluate, parameter_values
from factstore.migrate.includes import rewrite_all
from factstore.migrate.plan import Bag, Finding
from factstore.migrate.rewrite import Result, rewrite
from factstore.migrate.template import NotATemplate, Template

__all__ = [
    "Bag",
    "Finding",
    "NotATemplate",
    "Result",
    "Template",
    "Unresolved",
    "evaluate",
    "parameter_values",
    "rewrite",
    "rewrite_all",
]
