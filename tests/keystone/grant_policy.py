"""The permissions of grants: every operation and every kind of holder, as one table.

It is read like ``token_policy``: a row's kind states the answer to each holder, in the order of
:data:`HOLDERS`.  The answer depends on where in a stack the operation acts, so a row names that too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from tests.keystone import token_policy
from tests.keystone.token_policy import DONE, FORBIDDEN, UNKNOWN

PROTECTED = "403 parameter_protected"

ENDED = ("expired", "revoked", "its stack deleted", "another secret", "junk")
HOLDERS = (
    "agent of a", "agent of b", "reader", "group", "enrolled", "agent elsewhere", *ENDED,
    "its group revoked",
)  # fmt: skip
"""Of the stack that is called: agents for member a, whose group is g, and for member b; a reader; who
holds the grant of group g; and member e, which got its own with that.  Of another stack of the same
project: an agent for member a.  And grants that do not hold."""


class Kind(Enum):
    """The kind of an operation, which determines the response to each holder."""

    #                agent of a agent of b reader     group      enrolled   elsewhere  ended
    PUBLIC = (*[DONE] * 6, *[DONE] * 6)
    READ = (*[DONE] * 5, FORBIDDEN, *[UNKNOWN] * 6)
    OWN_A = (DONE, *[FORBIDDEN] * 5, *[UNKNOWN] * 6)
    OWN_B = (FORBIDDEN, DONE, *[FORBIDDEN] * 4, *[UNKNOWN] * 6)
    OWN_E = (*[FORBIDDEN] * 4, DONE, FORBIDDEN, *[UNKNOWN] * 6)
    PARAMETER_A = (PROTECTED, *[FORBIDDEN] * 5, *[UNKNOWN] * 6)
    SIGNAL = (DONE, DONE, FORBIDDEN, FORBIDDEN, DONE, FORBIDDEN, *[UNKNOWN] * 6)
    GROUP = (*[FORBIDDEN] * 3, DONE, FORBIDDEN, FORBIDDEN, *[UNKNOWN] * 6)
    OWNERS = (*[FORBIDDEN] * 6, *[UNKNOWN] * 6)


# PUBLIC       for everybody, whatever they send
# READ         of the stack
# OWN_A        what is member a's own or for it alone, or the grant for it
# OWN_B        the same for member b
# OWN_E        the same for member e, which enrolled
# PARAMETER_A  where member a writes, but a fact of kind parameter
# SIGNAL       to a waiter
# GROUP        a grant for a member of group g, and the group's grant itself
# OWNERS       for those with a token only


@dataclass(frozen=True)
class Row:
    """One operation on a stack with facts at :data:`FACTS`, members ``a`` and ``b`` and ``h`` in group
    ``other``, waiter ``w`` and the grants of the holders.

    :param grant: whose grant it is about.
    """

    method: str
    template: str
    kind: Kind
    query: str = ""
    body: Any = None
    done: int = 200
    path: str = "a"
    member: str = "a"
    grant: str = "agent of a"

    @property
    def operation(self) -> tuple[str, str]:
        return self.method, self.template

    def __str__(self) -> str:
        where = self.template.replace("{path}", self.path).replace("{member}", self.member)
        where = where.replace("{grant}", self.grant.replace(" ", "-"))
        return f"{self.method} {where}{self.query}{f' {self.body}' if self.body else ''}"

    def expected(self, holder: str) -> str:
        """Status, and the code of a refusal, as in ``404 not_found``."""
        answer = self.kind.value[HOLDERS.index(holder)]
        return str(self.done) if answer is DONE else answer


FACTS = {
    "a": "observed",
    "configs/a/x": "observed",
    "configs/ab/x": "observed",
    "configs/b/x": "observed",
    "nodes/a/p": "parameter",
    "nodes/a/x": "observed",
    "nodes/b/x": "observed",
    "results/a/x": "observed",
    "results/b/x": "observed",
}
"""Paths and kinds."""

OTHERS = (
    "a",
    "new",
    "nodes/x",
    "nodes/ab/x",
    "results/x",
    "configs/a/x",
    "configs/b/x",
    "nodes/c/x",
)
"""Paths that are neither a's nor b's to write."""

STACK, FACT, MEMBER = token_policy.STACK, token_policy.FACT, token_policy.MEMBER
WAITER, GRANT = token_policy.WAITER, token_policy.GRANT
TWO = {"value": 2}
PARAMETER = {"value": 2, "kind": "parameter"}


def _put(path: str, **more: Any) -> dict[str, Any]:
    return {"put": {"path": path, "value": 2, **more}}


def _batch(*operations: dict[str, Any], guard: str = "") -> dict[str, Any]:
    guards = {"guards": [{"path": guard, "exists": True}]} if guard else {}
    return {**guards, "operations": list(operations)}


ENROLLING = (
    {"member": "new"},
    {"member": "new", "group": "g", "ttl": 60},
    {"member": "e"},
)
"""Bodies of requests with the grant of group g."""

NOT_ENROLLING = (
    {"member": "a"},  # has a grant that the owner issued
    {"member": "h"},  # lives in another group
    {"member": "new", "group": "other"},
    {"member": "new", "role": "reader"},
    {"member": "new", "ttl": 366 * 24 * 3600},
    {"group": "g"},
)

DELETE_X = {"delete": {"path": "nodes/a/x"}}

ROWS = [
    *(
        Row("GET", row.template, Kind.PUBLIC)
        for row in token_policy.ROWS
        if row.kind is token_policy.Kind.PUBLIC
    ),
    Row("GET", "/v1/limits", Kind.OWNERS),
    Row("GET", "/v1/limits", Kind.OWNERS, query="?project_id={project}"),
    Row("GET", token_policy.STACKS, Kind.OWNERS),
    Row("GET", token_policy.STACKS, Kind.OWNERS, query="?project_id={project}"),
    Row("GET", STACK, Kind.READ),
    Row("PUT", STACK, Kind.OWNERS, body={"description": "x"}),
    Row("DELETE", STACK, Kind.OWNERS),
    Row("GET", token_policy.FACTS, Kind.READ),
    Row("GET", token_policy.FACTS, Kind.READ, query="?prefix=configs/a"),
    *(Row("GET", FACT, Kind.READ, path=path) for path in ("a", "nodes/a/x", "nodes/b/x")),
    Row("GET", FACT, Kind.READ, path="nodes/b/x", query="?format=raw"),
    Row("GET", FACT, Kind.OWN_A, path="configs/a/x"),
    Row("HEAD", FACT, Kind.READ),
    Row("HEAD", FACT, Kind.OWN_A, path="configs/a/x"),
    *(Row("GET", FACT, Kind.OWNERS, path=f"configs/{place}") for place in ("ab/x", "a", "none/x")),
    Row("PUT", FACT, Kind.OWN_A, path="nodes/a/x", body=TWO),
    Row("PUT", FACT, Kind.OWN_A, path="nodes/a/new", body=TWO, done=201),
    Row("PUT", FACT, Kind.OWN_A, path="results/a/x", body=TWO),
    Row("PUT", FACT, Kind.OWN_A, path="nodes/a/x", body={"value": 1, "member": "a"}),
    Row("PUT", FACT, Kind.OWNERS, path="nodes/a/x", body={"value": 1, "member": "b"}),
    Row("PUT", FACT, Kind.OWN_B, path="nodes/b/x", body=TWO),
    Row("PUT", FACT, Kind.PARAMETER_A, path="nodes/a/x", body=PARAMETER),
    Row("PUT", FACT, Kind.PARAMETER_A, path="nodes/a/new", body=PARAMETER),
    Row("PUT", FACT, Kind.PARAMETER_A, path="nodes/a/p", body=TWO),
    *(Row("PUT", FACT, Kind.OWNERS, path=path, body=TWO) for path in OTHERS),
    Row("DELETE", FACT, Kind.OWN_A, path="nodes/a/x", done=204),
    Row("DELETE", FACT, Kind.OWN_A, path="results/a/x", done=204),
    Row("DELETE", FACT, Kind.OWN_B, path="results/b/x", done=204),
    Row("DELETE", FACT, Kind.PARAMETER_A, path="nodes/a/p"),
    *(Row("DELETE", FACT, Kind.OWNERS, path=path) for path in OTHERS),
    Row("POST", token_policy.BATCH, Kind.OWN_A, body=_batch(_put("nodes/a/y"), DELETE_X)),
    Row("POST", token_policy.BATCH, Kind.OWN_A, body=_batch(_put("nodes/a/y"), guard="nodes/b/x")),
    Row("POST", token_policy.BATCH, Kind.OWN_A, body=_batch(DELETE_X, guard="configs/a/x")),
    Row("POST", token_policy.BATCH, Kind.OWNERS, body=_batch(DELETE_X, guard="configs/ab/x")),
    Row("POST", token_policy.BATCH, Kind.OWNERS, body=_batch(_put("nodes/a/y"), _put("nodes/b/y"))),
    Row("POST", token_policy.BATCH, Kind.OWNERS, body=_batch(_put("nodes/a/y", member="b"))),
    Row("POST", token_policy.BATCH, Kind.OWNERS, body=_batch(DELETE_X, {"delete": {"path": "a"}})),
    Row(
        "POST",
        token_policy.BATCH,
        Kind.PARAMETER_A,
        body=_batch(_put("nodes/a/y", kind="parameter")),
    ),
    Row(
        "POST", token_policy.BATCH, Kind.PARAMETER_A, body=_batch({"delete": {"path": "nodes/a/p"}})
    ),
    Row("GET", token_policy.MEMBERS, Kind.READ),
    Row("GET", MEMBER, Kind.READ),
    Row("PUT", MEMBER, Kind.OWN_A, body={"group": "g"}, done=201),
    Row("PUT", MEMBER, Kind.OWNERS, body={"group": "other"}),
    Row("PUT", MEMBER, Kind.OWN_B, body={"group": "any"}, done=201, member="b"),
    Row("PUT", MEMBER, Kind.OWNERS, body={"group": "g"}, member="new"),
    Row("PUT", MEMBER, Kind.OWN_A, body={"group": "g", "declared": None, "reason": None}, done=201),
    Row("PUT", MEMBER, Kind.OWNERS, body={"group": "g", "declared": "heat:1"}),
    Row("PUT", MEMBER, Kind.OWNERS, body={"group": "g", "reason": "scaled_out"}),
    Row("GET", token_policy.MEMBERS, Kind.READ, query="?declared=heat:1"),
    Row("DELETE", MEMBER, Kind.OWNERS, query="?declared=heat:1"),
    Row("DELETE", MEMBER, Kind.OWN_A, query="?reason=scaled_in", done=204),
    Row("PATCH", MEMBER, Kind.OWN_A, body={"state": "ready"}),
    Row("PATCH", MEMBER, Kind.OWN_B, body={"state": "ready"}, member="b"),
    Row("DELETE", MEMBER, Kind.OWN_A, done=204),
    Row("DELETE", MEMBER, Kind.OWN_B, done=204, member="b"),
    Row("POST", f"{MEMBER}/heartbeat", Kind.OWN_A, done=204),
    Row("POST", f"{MEMBER}/heartbeat", Kind.OWN_B, done=204, member="b"),
    Row("GET", f"{STACK}/convergence", Kind.READ),
    Row("GET", f"{STACK}/events", Kind.READ),
    Row("GET", f"{STACK}/context", Kind.READ),
    Row("GET", f"{STACK}/context", Kind.READ, query="?member=b&include=results"),
    Row("HEAD", f"{STACK}/context", Kind.READ),
    Row("GET", token_policy.WAITERS, Kind.READ),
    Row("GET", WAITER, Kind.READ),
    Row("PUT", WAITER, Kind.OWNERS, body=token_policy.WAIT_FOR_A),
    Row("DELETE", WAITER, Kind.OWNERS),
    Row("POST", f"{WAITER}/signal", Kind.SIGNAL, body={"status": "SUCCESS"}),
    Row("PUT", f"{WAITER}/signal", Kind.SIGNAL, body={"Status": "SUCCESS"}),
    Row("PUT", FACT, Kind.OWN_E, path="nodes/e/x", body=TWO, done=201),
    Row("POST", token_policy.BATCH, Kind.OWN_E, body=_batch(_put("nodes/e/y", member="e"))),
    Row("PUT", MEMBER, Kind.OWN_E, body={"group": "g"}, done=201, member="e"),
    Row("PUT", MEMBER, Kind.OWNERS, body={"group": "other"}, member="e"),
    Row("POST", f"{MEMBER}/heartbeat", Kind.OWN_E, done=204, member="e"),
    Row("GET", token_policy.GRANTS, Kind.OWNERS),
    Row("POST", token_policy.GRANTS, Kind.OWNERS, body=token_policy.READ_ONLY),
    *(Row("POST", token_policy.GRANTS, Kind.GROUP, body=body, done=201) for body in ENROLLING),
    *(Row("POST", token_policy.GRANTS, Kind.OWNERS, body=body) for body in NOT_ENROLLING),
    Row("GET", GRANT, Kind.OWN_A),
    Row("GET", GRANT, Kind.GROUP, grant="group"),
    Row("GET", GRANT, Kind.OWN_E, grant="enrolled"),
    Row("POST", f"{GRANT}/renew", Kind.OWN_A),
    Row("POST", f"{GRANT}/renew", Kind.GROUP, grant="group"),
    Row("POST", f"{GRANT}/renew", Kind.OWN_E, grant="enrolled"),
    Row("DELETE", GRANT, Kind.OWN_A, done=204),
    Row("DELETE", GRANT, Kind.OWNERS, grant="group"),
    Row("DELETE", GRANT, Kind.OWN_E, done=204, grant="enrolled"),
]
