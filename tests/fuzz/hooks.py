"""Rules for schemathesis that an OpenAPI document cannot express.

Nothing here hides an operation or a failure, nor any input from all requests.
"""

from __future__ import annotations

from itertools import cycle
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import schemathesis
from requests import PreparedRequest
from schemathesis import Case, HookContext

LONGEST_WAIT = 1  # seconds; a longer wait for what never comes teaches nothing more
WAIT_LIMIT = 50
PRECONDITIONS = ("If-Match", "If-None-Match")
_dropped = cycle([("If-Match",), ("If-None-Match",), ()])


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Wait only briefly, send slashes unchanged, and rarely send both preconditions."""
    wait = str(case.query.get("wait"))
    if wait.isdecimal() and LONGEST_WAIT < int(wait) <= WAIT_LIMIT:
        case.query["wait"] = LONGEST_WAIT
    if "path" in case.path_parameters:
        kwargs["auth"] = with_slashes
    if all(name in case.headers for name in PRECONDITIONS):  # a document cannot say "not both"
        for name in next(_dropped):
            del case.headers[name]


def with_slashes(request: PreparedRequest) -> PreparedRequest:
    """Restore the slashes of a fact's path; requests calls this before sending."""
    parts = urlsplit(str(request.url))
    stack, facts, path = parts.path.partition("/facts/")
    path = path.replace("%2F", "/").replace("%2f", "/")
    request.url = urlunsplit(parts._replace(path=f"{stack}{facts}{path}"))
    return request
