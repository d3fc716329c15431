"""The values from which the rules of the machine choose."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from factstore.core.model.definition import Definition

PATHS = ["nodes/a/x", "nodes/b/x", "nodes/c/x", "cfg", "results/a"]
NAMES = ["a", "b", "c"]
SUCCESSES: list[dict[str, Any]] = [
    {"success": {"facts": "nodes/*/x", "equals": 1, "count": 2}},
    {"success": {"facts": "cfg", "present": True}, "failure": {"facts": "results/*", "equals": 2}},
    {"success": {"every_member": {"group": "compute", "fact": "x", "equals": 1}}},
    {
        "success": {"every_member": {"fact": "x", "present": True, "at_least": 2}},
        "extend_on_progress": True,
    },
    {"success": {"converged": {"include_draining": True}}},
    {"success": {"converged": {"group": "compute"}}, "failure": {"facts": "cfg", "equals": 2}},
    {"success": {"signals": 2}},
    {"success": {"any": [{"signals": 1}, {"all": [{"converged": {}}, {"facts": "cfg", "equals": 1}]}]}},
    {"success": {"facts": "never", "present": True}, "timeout": 45},
]  # fmt: skip

paths, names = st.sampled_from(PATHS), st.sampled_from(NAMES)
values, which = st.integers(1, 2), st.integers(0, 1)
definitions = st.sampled_from(SUCCESSES).map(Definition.of)
groups, words = st.sampled_from(["compute", "head"]), st.sampled_from(["x", "yy"])
generations = st.sampled_from(["none", "none", "present", "former", "strange"])

cursors = st.sampled_from(["", "target", "head", "old", "far"])
