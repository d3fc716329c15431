"""Documents of waiters' definitions, on a few names so that conditions are often met."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

VALUES = ["up", "down", 1, True, 2.5, -3]
GROUPS = ["", "compute", "head"]
PATTERNS = ["nodes/*/s", "nodes/*/s/t", "*/c1/*", "*", "a", "nodes/c1/s", "x/*"]

_plain = st.sampled_from(VALUES).map(lambda value: {"equals": value}) | st.just({"present": True})
_comparisons = st.sampled_from(
    [
        {"at_least": 1},
        {"at_most": 2.5},
        {"at_least": -3, "at_most": 1},
        {"in": ["up"]},
        {"in": [-3, 1, True]},
        {"match": "*"},
        {"match": "d?w*"},
    ]
)
_tests = _plain | _comparisons
_member_tests = _plain | _comparisons.map(lambda test: {"value": test})
_facts = st.builds(
    lambda pattern, count, test: {
        "facts": pattern,
        "count": count if "*" in pattern else 1,
        **test,
    },
    st.sampled_from(PATTERNS),
    st.integers(1, 3),
    _tests,
)
# The default false is never written out.
_draining = st.sampled_from([{}, {"include_draining": True}])
_every_member = st.builds(
    lambda group, fact, at_least, test, draining: {
        "every_member": {"group": group, "fact": fact, "at_least": at_least, **test, **draining}
    },
    st.sampled_from(GROUPS),
    st.sampled_from(["s", "s/t"]),
    st.integers(0, 3),
    _member_tests,
    _draining,
)
_converged = st.builds(
    lambda group, draining: {"converged": {"group": group, **draining}},
    st.sampled_from(GROUPS),
    _draining,
)
_signals = st.integers(1, 3).map(lambda count: {"signals": count})


def _nested(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaf,
        lambda inner: st.builds(
            lambda name, parts: {name: parts},
            st.sampled_from(["all", "any"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        max_leaves=6,
    )


documents = st.fixed_dictionaries(
    {
        "success": _nested(_facts | _every_member | _converged | _signals),
        "failure": st.none() | _nested(_facts | _every_member),
        "timeout": st.sampled_from([1, 600, 3600, 30 * 24 * 3600]),
        "extend_on_progress": st.booleans(),
    },
    optional={"fail_when_stuck": st.integers(1, 30 * 24 * 3600)},
).map(deepcopy)  # tests change them, and strategies return the same objects again
"""Right ones, with all defaults written out."""
