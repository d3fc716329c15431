"""Every operation refuses parameters, fields and methods that it does not have."""

from __future__ import annotations

from http import HTTPStatus

import pytest
import requests

from tests.http import Caller, refused


def operations() -> list[tuple[str, str]]:
    """All methods and paths of the API, with names put in."""
    return [
        ("GET", "/"),
        ("GET", "/v1"),
        ("GET", "/v1/"),
        ("GET", "/v1/stacks"),
        ("GET", "/v1/stacks/s"),
        ("PUT", "/v1/stacks/s"),
        ("DELETE", "/v1/stacks/s"),
        ("GET", "/v1/stacks/s/facts"),
        ("GET", "/v1/stacks/s/facts/a/b"),
        ("HEAD", "/v1/stacks/s/facts/a/b"),
        ("GET", "/v1/stacks/s/history/a/b"),
        ("GET", "/v1/stacks/s/diff"),
        ("GET", "/v1/openapi.json"),
        ("PUT", "/v1/stacks/s/facts/a/b"),
        ("DELETE", "/v1/stacks/s/facts/a/b"),
        ("POST", "/v1/stacks/s/batch"),
        ("GET", "/v1/stacks/s/members"),
        ("GET", "/v1/stacks/s/members/m"),
        ("PUT", "/v1/stacks/s/members/m"),
        ("PATCH", "/v1/stacks/s/members/m"),
        ("DELETE", "/v1/stacks/s/members/m"),
        ("POST", "/v1/stacks/s/members/m/heartbeat"),
        ("GET", "/v1/stacks/s/members/m/why"),
        ("GET", "/v1/stacks/s/members/m/heartbeat"),
        ("GET", "/v1/stacks/s/members/m/read_set"),
        ("PUT", "/v1/stacks/s/members/m/read_set"),
        ("DELETE", "/v1/stacks/s/members/m/read_set"),
        ("GET", "/v1/stacks/s/configurations"),
        ("GET", "/v1/stacks/s/configurations/m"),
        ("GET", "/v1/stacks/s/configurations/m/n"),
        ("PUT", "/v1/stacks/s/configurations/m/n"),
        ("DELETE", "/v1/stacks/s/configurations/m/n"),
        ("PUT", "/v1/stacks/s/configurations/m/n/result"),
        ("POST", "/v1/stacks/s/configurations/m/n/signal"),
        ("PUT", "/v1/stacks/s/configurations/m/n/signal"),
        ("GET", "/v1/stacks/s/actions"),
        ("POST", "/v1/stacks/s/actions"),
        ("GET", "/v1/stacks/s/actions/x"),
        ("DELETE", "/v1/stacks/s/actions/x"),
        ("POST", "/v1/stacks/s/actions/x/cancel"),
        ("GET", "/v1/stacks/s/actions/x/results"),
        ("GET", "/v1/stacks/s/actions/x/results/r"),
        ("PUT", "/v1/stacks/s/actions/x/results/r"),
        ("GET", "/v1/stacks/s/members/m/actions"),
        ("GET", "/v1/stacks/s/turns"),
        ("GET", "/v1/stacks/s/turns/q"),
        ("GET", "/v1/stacks/s/turns/q/c"),
        ("PUT", "/v1/stacks/s/turns/q/c"),
        ("DELETE", "/v1/stacks/s/turns/q/c"),
        ("GET", "/v1/stacks/s/convergence"),
        ("GET", "/v1/stacks/s/waits"),
        ("GET", "/v1/stacks/s/events"),
        ("GET", "/v1/stacks/s/context"),
        ("HEAD", "/v1/stacks/s/context"),
        ("GET", "/v1/stacks/s/waiters"),
        ("GET", "/v1/stacks/s/waiters/w"),
        ("PUT", "/v1/stacks/s/waiters/w"),
        ("DELETE", "/v1/stacks/s/waiters/w"),
        ("GET", "/v1/stacks/s/alarms"),
        ("GET", "/v1/stacks/s/alarms/l"),
        ("PUT", "/v1/stacks/s/alarms/l"),
        ("DELETE", "/v1/stacks/s/alarms/l"),
        ("POST", "/v1/stacks/s/waiters/w/signal"),
        ("PUT", "/v1/stacks/s/waiters/w/signal"),
        ("GET", "/v1/stacks/s/grants"),
        ("POST", "/v1/stacks/s/grants"),
        ("GET", "/v1/stacks/s/grants/g"),
        ("DELETE", "/v1/stacks/s/grants/g"),
        ("POST", "/v1/stacks/s/grants/g/renew"),
        ("GET", "/v1/events"),
        ("GET", "/v1/subscriptions"),
        ("POST", "/v1/subscriptions"),
        ("GET", "/v1/subscriptions/u"),
        ("PATCH", "/v1/subscriptions/u"),
        ("DELETE", "/v1/subscriptions/u"),
        ("POST", "/v1/subscriptions/u/confirm"),
        ("POST", "/v1/subscriptions/u/test"),
        ("POST", "/v1/subscriptions/u/replay"),
        ("POST", "/v1/subscriptions/u/rotate"),
        ("GET", "/v1/subscriptions/u/deliveries"),
        ("GET", "/v1/limits"),
        ("GET", "/v1/agent"),
        ("POST", "/v1/vendordata"),
    ]


def test_the_list_of_operations_is_complete(api: Caller) -> None:
    names = {
        "{stack}": "s",
        "{path}": "a/b",
        "{member}": "m",
        "{waiter}": "w",
        "{alarm}": "l",
        "{grant}": "g",
        "{configuration}": "n",
        "{queue}": "q",
        "{subscription}": "u",
        "{action}": "x",
    }
    documented = set()
    for template, methods in api.get("/v1/openapi.json").json()["paths"].items():
        path = template.replace("turns/{queue}/{member}", "turns/{queue}/c")
        path = path.replace("results/{member}", "results/r")
        for placeholder, name in names.items():
            path = path.replace(placeholder, name)
        documented |= {
            (method.upper(), path)
            for method in methods
            if method.isalpha() and method != "parameters"
        }
    assert documented == set(operations())


def call(api: Caller, method: str, path: str, query: str) -> requests.Response:
    body = {"json": {"operations": [], "value": 1}} if method in ("PUT", "POST", "PATCH") else {}
    return api(method, f"{path}?{query}", **body)


@pytest.mark.parametrize(("method", "path"), operations())
def test_an_unknown_parameter_is_refused(api: Caller, method: str, path: str) -> None:
    for query in ("nonsense=1", "nonsense=", "Limit=1", "wait%00=1"):
        answer = call(api, method, path, query)
        if method == "HEAD":
            assert answer.status_code == HTTPStatus.BAD_REQUEST
        else:
            refused(answer, "400 query_invalid")


@pytest.mark.parametrize(("method", "path"), operations())
def test_a_parameter_given_twice_is_refused(api: Caller, method: str, path: str) -> None:
    for name in ("nonsense", "wait", "limit"):
        answer = call(api, method, path, f"{name}=1&{name}=1")
        if method == "HEAD":
            assert answer.status_code == HTTPStatus.BAD_REQUEST
        else:
            refused(answer, "400 ambiguous")


# Nova determines the body of vendor data, and hooks that of their signals.
@pytest.mark.parametrize(
    ("method", "path"),
    [
        (method, path)
        for method, path in operations()
        if method in ("PUT", "POST", "PATCH") and not path.endswith(("/vendordata", "/n/signal"))
    ],
)
def test_an_unknown_field_is_refused(api: Caller, method: str, path: str) -> None:
    known: dict[tuple[str, str], dict[str, object]] = {
        ("POST", "batch"): {"operations": [{"delete": {"path": "a"}}]},
        ("PUT", "b"): {"value": 1},
        ("PUT", "m"): {"group": "g"},
        ("PATCH", "m"): {"state": "ready"},
        ("POST", "subscriptions"): {"target": "https://receiver.example.com/"},
        ("POST", "confirm"): {"challenge": "x"},
        ("POST", "replay"): {"since": "0123456789abcdef.1"},
        ("PUT", "l"): {"condition": {"facts": "a", "present": True}},
        ("PUT", "w"): {"success": {"signals": 1}},
        ("PUT", "n"): {"group": "g"},
        ("PUT", "result"): {"id": "i", "state": "complete"},
        ("POST", "actions"): {"hook": "script", "member": "m"},
        ("PUT", "r"): {"state": "complete"},
    }
    body = {**known.get((method, path.rpartition("/")[2]), {}), "nonsense": 1}
    assert refused(api(method, path, json=body), "400 schema")["field"] == "nonsense"


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "PATCH", "TRACE", "BREW"])
def test_an_unsupported_method_is_refused_with_the_supported_ones(api: Caller, method: str) -> None:
    known = operations()
    for path in {path for _, path in known}:
        if (method, path) in known:
            continue
        answer = api(method, path)
        refused(answer, "405 method_not_allowed")
        allowed = set(answer.headers["Allow"].split(", "))
        assert {known_method for known_method, known_path in known if known_path == path} <= allowed
        assert method not in allowed
