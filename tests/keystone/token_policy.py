"""The policy for tokens: every operation and every kind of caller, as one table.

A new route needs a row here, and one for holders of grants in ``grant_policy``, and nothing else: the
tests take the rows from :data:`ROWS`.  A new noun also needs its name in :data:`NAMES` and, if there is
something to read or delete, a line in :data:`RECORDS`.

A row's kind states the answer to each persona, in the order of :data:`PERSONAS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from factstore.api import docs_ui

DONE = "done"  # what the row says
MADE = "made"  # the same where nothing was: the caller's own project, not the owner's
UNKNOWN = "401 unauthorized"
MISSING = "404 not_found"
FORBIDDEN = "403 forbidden"

UNIDENTIFIED = ("no token", "junk token", "expired token", "revoked token")
STRANGERS = ("outsider", "admin", "service")  # who may, but in other projects
PERSONAS = (*UNIDENTIFIED, *STRANGERS, "reader", "owner", "restricted")
RESTRICTED_TO = ("GET", "/v1/stacks/{stack}/context")  # the one access rule of "restricted"


class Kind(Enum):
    """The kind of an operation, which determines the response to each persona."""

    #                       unidentified   outsider   admin    service    reader     owner  restricted
    PUBLIC = (*[DONE] * 4, DONE, DONE, DONE, DONE, DONE, DONE)
    READ = (*[UNKNOWN] * 4, MISSING, MISSING, MISSING, DONE, DONE, UNKNOWN)
    READ_OWN = (*[UNKNOWN] * 4, DONE, DONE, DONE, DONE, DONE, UNKNOWN)
    READ_ANY = (*[UNKNOWN] * 4, FORBIDDEN, DONE, FORBIDDEN, DONE, DONE, UNKNOWN)
    WRITE = (*[UNKNOWN] * 4, MADE, MADE, MADE, FORBIDDEN, DONE, UNKNOWN)
    REMOVE = (*[UNKNOWN] * 4, MISSING, MISSING, MISSING, FORBIDDEN, DONE, UNKNOWN)


# PUBLIC     for everybody, whatever they send
# READ       of one stack
# READ_OWN   of the caller's own project
# READ_ANY   of the project that the query names, the owner's
# WRITE      makes the stack if need be
# REMOVE     needs something to be there, and is for those who may write


@dataclass(frozen=True)
class Row:
    """One operation, called on the owner's stack, where fact and member ``a``, waiter ``w`` and
    grant ``g`` are."""

    method: str
    template: str
    kind: Kind
    query: str = ""
    body: Any = None
    done: int = 200
    made: int = 201

    @property
    def operation(self) -> tuple[str, str]:
        return self.method, self.template

    def __str__(self) -> str:
        more = f" {self.body}" if self.body else ""
        return f"{self.method} {self.template}{self.query}{more}"

    def expected(self, persona: str) -> str:
        """Status, and the code of a refusal, as in ``404 not_found``."""
        if persona == "restricted" and self.operation == RESTRICTED_TO:
            return str(self.done)
        answer = self.kind.value[PERSONAS.index(persona)]
        return {DONE: str(self.done), MADE: str(self.made)}.get(answer, answer)


NAMES = {"path": "a", "member": "a", "waiter": "w"}
"""The names in templates, apart from stack and grant."""

RECORDS: dict[str, Any] = {"waiters/w": {"success": {"signals": 9}}}
"""The contents of a stack beside facts, members and grants: the path and the body of each PUT."""

STACKS = "/v1/stacks"
STACK = f"{STACKS}/{{stack}}"
FACTS = f"{STACK}/facts"
FACT = f"{FACTS}/{{path}}"
BATCH = f"{STACK}/batch"
MEMBERS = f"{STACK}/members"
MEMBER = f"{MEMBERS}/{{member}}"
PUT_A = {"operations": [{"put": {"path": "a", "value": 2}}]}
GRANTS = f"{STACK}/grants"
GRANT = f"{GRANTS}/{{grant}}"
READ_ONLY = {"role": "reader"}
WAITERS = f"{STACK}/waiters"
WAITER = f"{WAITERS}/{{waiter}}"
WAIT_FOR_A = {"success": {"facts": "a", "present": True}, "timeout": 60}
DELETE_A = {"operations": [{"delete": {"path": "a"}}]}

ROWS = [
    Row("GET", "/", Kind.PUBLIC),
    Row("GET", "/v1", Kind.PUBLIC),
    Row("GET", "/v1/", Kind.PUBLIC),
    Row("GET", "/v1/openapi.json", Kind.PUBLIC),
    Row("GET", "/healthcheck", Kind.PUBLIC),
    Row("GET", "/healthcheck/live", Kind.PUBLIC),
    Row("GET", "/metrics", Kind.PUBLIC),
    *(Row("GET", path, Kind.PUBLIC) for path in sorted(docs_ui.PATHS)),
    Row("GET", "/v1/limits", Kind.READ_OWN),
    Row("GET", "/v1/limits", Kind.READ_ANY, query="?project_id={project}"),
    Row("GET", STACKS, Kind.READ_OWN),
    Row("GET", STACKS, Kind.READ_ANY, query="?project_id={project}"),
    Row("GET", STACK, Kind.READ),
    Row("PUT", STACK, Kind.WRITE, body={"description": "x"}),
    Row("DELETE", STACK, Kind.REMOVE, done=204),
    Row("GET", FACTS, Kind.READ),
    Row("GET", FACTS, Kind.READ, query="?prefix=a"),
    Row("GET", FACT, Kind.READ),
    Row("GET", FACT, Kind.READ, query="?format=raw"),
    Row("HEAD", FACT, Kind.READ),
    Row("PUT", FACT, Kind.WRITE, body={"value": 2}),
    Row("PUT", FACT, Kind.WRITE, body={"value": 2, "kind": "parameter"}),
    Row("DELETE", FACT, Kind.REMOVE, done=204),
    Row("POST", BATCH, Kind.WRITE, body=PUT_A, made=200),
    Row("POST", BATCH, Kind.REMOVE, body=DELETE_A),
    Row("GET", MEMBERS, Kind.READ),
    Row("GET", MEMBERS, Kind.READ, query="?group=g"),
    Row("GET", MEMBERS, Kind.READ, query="?declared=heat:1"),
    Row("GET", MEMBER, Kind.READ),
    Row("PUT", MEMBER, Kind.WRITE, body={"group": "g"}, done=201),
    Row("PATCH", MEMBER, Kind.REMOVE, body={"state": "ready"}),
    Row("DELETE", MEMBER, Kind.REMOVE, done=204),
    Row("POST", f"{MEMBER}/heartbeat", Kind.REMOVE, done=204),
    Row("GET", f"{STACK}/convergence", Kind.READ),
    Row("GET", f"{STACK}/events", Kind.READ),
    Row("GET", f"{STACK}/context", Kind.READ),
    Row("HEAD", f"{STACK}/context", Kind.READ),
    Row("GET", WAITERS, Kind.READ),
    Row("GET", WAITER, Kind.READ),
    Row("PUT", WAITER, Kind.WRITE, body=WAIT_FOR_A),
    Row("DELETE", WAITER, Kind.REMOVE, done=204),
    Row("POST", f"{WAITER}/signal", Kind.REMOVE, body={"status": "SUCCESS"}),
    Row("PUT", f"{WAITER}/signal", Kind.REMOVE, body={"Status": "SUCCESS"}),
    Row("GET", GRANTS, Kind.REMOVE),
    Row("POST", GRANTS, Kind.WRITE, body=READ_ONLY, done=201),
    Row("GET", GRANT, Kind.REMOVE),
    Row("POST", f"{GRANT}/renew", Kind.REMOVE),
    Row("DELETE", GRANT, Kind.REMOVE, done=204),
]
