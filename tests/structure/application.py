"""The application without services: its routes, and the policy rules that each of them checks."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from flask import Flask
from werkzeug.test import TestResponse

from factstore.api.agent_files import AgentFiles
from factstore.api.app import create_app
from factstore.api.identity import ENVIRON_KEY, Identity
from factstore.api.services import Services
from factstore.core.errors import NotFound
from factstore.core.model.fact import Fact
from factstore.core.model.quota import no_quotas
from factstore.core.services.rate_limit import Allowance, RateLimiter
from factstore.core.services.views import FactView
from factstore.wsgi import configuration, deploy
from factstore.wsgi.clock import SystemClock
from tests.docs import reference

Operation = tuple[str, str]
"""Method and path template, as in ``("GET", "/v1/stacks/{stack}")``."""

DOCUMENT = "/v1/openapi.json"
AGENT = ("GET", "/v1/agent")
"""The operation whose response is not JSON."""
VENDORDATA = ("POST", "/v1/vendordata")
"""The operation that succeeds though nothing exists, and whose body may have unknown fields."""
PUBLIC = {AGENT, *(("GET", path) for path in ("/", "/v1", "/v1/", DOCUMENT))}

BODIES: dict[Operation, Any] = {
    ("PUT", "/v1/stacks/{stack}/facts/{path}"): {"value": 1, "sensitive": True},
    ("POST", "/v1/stacks/{stack}/batch"): {
        "operations": [{"put": {"path": "a", "value": 1, "sensitive": True}}]
    },
}
"""Bodies that make an operation ask for more rules; other operations get the reference's sample."""

_PLACEHOLDER = re.compile(r"<(?:\w+:)?(\w+)>")


class Nothing:
    """A service whose methods find nothing."""

    def __getattr__(self, name: str) -> Any:
        return Mock(side_effect=NotFound("nothing is here"))


def application(
    decide: Callable[[str], bool] = lambda rule: True, *, known: Fact | None = None
) -> Flask:
    """Return the application over services that find nothing.

    :param decide: whether the rule of this name allows.
    :param known: a fact that is there all the same, whatever is asked for.
    """
    nothing = Nothing()
    services: dict[str, Any] = {field.name: nothing for field in fields(Services)}
    services["quotas"] = no_quotas
    services["allowances"] = lambda project_id: Allowance()
    services["rate_limiter"] = RateLimiter(services["allowances"], Mock())
    services["store"], services["clock"] = Mock(), SystemClock()
    if known is not None:
        services["facts"] = Mock(
            wraps=nothing, get=lambda *_, **__: FactView(known, "0123456789abcdef")
        )
    return create_app(
        Services(**services),
        lambda rule, identity, project_id: decide(rule),
        agent_files=AgentFiles(own=Path(__file__)),
    )


@cache
def operations() -> frozenset[Operation]:
    """Return all methods and path templates of the API, without Flask's own and without the page."""
    app = application()
    found = set()
    for rule in app.url_map.iter_rules():
        template = _PLACEHOLDER.sub(r"{\1}", rule.rule)
        if rule.endpoint.startswith("docs_ui."):
            continue
        view: Any = app.view_functions[rule.endpoint]
        found |= {(method, template) for method in view.view_class.methods}
    return frozenset(found)


def mounted() -> set[Operation]:
    """Return the responses that precede authentication."""
    conf = configuration.read([], register_more=lambda conf: None)
    conf.set_override("auth_strategy", "none")
    app: Any = deploy.pipeline(conf, Mock())
    while not isinstance(app, deploy.PathDispatcher):
        app = app._app
    return {("GET", path) for path in app.mounts}


@cache
def documented() -> dict[str, Any]:
    """Return the OpenAPI document, which all tests share."""
    found: dict[str, Any] = application().test_client().get(DOCUMENT).get_json()
    return found


def call(app: Flask, operation: Operation, query: str = "") -> int:
    """Send a request as a user, and return the status."""
    return respond(app, operation, query).status_code


def respond(
    app: Flask,
    operation: Operation,
    query: str = "",
    *,
    headers: dict[str, str] | None = None,
    body: Any = None,
) -> TestResponse:
    """Send a request as a user, and return the response.

    :param body: instead of a correct one; bytes are sent as they are.
    """
    method, template = operation
    names: defaultdict[str, str] = defaultdict(lambda: "a")
    given: dict[str, Any] = {}
    if method in ("PUT", "POST", "PATCH") or body is not None:
        sent = body_of(operation) if body is None else body
        given["data"] = sent if isinstance(sent, bytes) else json.dumps(sent)
    return app.test_client().open(
        template.format_map(names) + query,
        method=method,
        headers={"Content-Type": "application/json", **(headers or {})},
        environ_overrides={ENVIRON_KEY: Identity("user", "project", ("member",))},
        **given,
    )


@cache
def body_of(operation: Operation) -> Any:
    """Return a body for an operation that takes one."""
    if operation in BODIES:
        return BODIES[operation]
    samples = reference.calls()[" ".join(operation)].samples("request")
    return json.loads((reference.SAMPLES / samples[0]).read_text()) if samples else {}
