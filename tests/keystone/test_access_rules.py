"""Application credentials with access rules: they allow what their rules say, to the letter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
from webob import Request, Response

from factstore.cmd.processes.api import write_options
from factstore.cmd.processes.keystone import KeystoneServer
from factstore.wsgi import configuration
from factstore.wsgi.auth.keystone import KeystoneAuth
from factstore.wsgi.clock import SystemClock
from factstore.wsgi.fast_path.callers import ValidTokens
from tests.http import Caller, check_refusal, fresh_stack, refused
from tests.keystone.conftest import Login, with_token
from tests.raw_http import Answer, exchange, request_bytes
from tests.service import ApiServer

Rule = tuple[str, str]  # method and path
Restrict = Callable[..., Caller]


def issue(keystone: KeystoneServer, rules: tuple[Rule, ...], service: str) -> str:
    """A token of the owner's, for what the rules name."""
    credential = keystone.accounts.application_credential(
        "owner",
        fresh_stack(),
        access_rules=[
            {"service": service, "method": method, "path": path} for method, path in rules
        ],
    )
    return keystone.accounts.issue_with(credential)


@pytest.fixture
def restrict(keystone: KeystoneServer, server: ApiServer) -> Iterator[Restrict]:
    """Makes a client that may do what some rules name."""
    made: list[Caller] = []

    def restricted_to(*rules: Rule, service: str = "contextualization") -> Caller:
        made.append(with_token(server, issue(keystone, rules, service)))
        return made[-1]

    yield restricted_to
    for caller in made:
        caller.close()


@pytest.fixture
def agent(restrict: Restrict, stack: str) -> Caller:
    """A client for one member's facts and the context of its stack."""
    return restrict(
        ("PUT", f"{stack}/facts/nodes/c1/*"),
        ("GET", f"{stack}/facts/nodes/c1/*"),
        ("GET", f"{stack}/context"),
        ("GET", f"{stack}/facts/all/**"),
    )


def send(caller: Caller, method: str, target: str) -> Answer:
    """A request with this very target, which clients would clean up."""
    token = caller.session.headers["X-Auth-Token"]
    assert isinstance(token, str)
    raw = request_bytes(
        method,
        target,
        f"X-Auth-Token: {token}",
        "Content-Type: application/json",
        body=b'{"value": "intruder"}' if method in ("PUT", "POST") else b"",
    )
    return exchange(caller.url, raw, method)


def test_a_restricted_credential_may_do_just_the_operations_of_its_rules(
    agent: Caller, stack: str
) -> None:
    assert agent.put(f"{stack}/facts/nodes/c1/ip", 1).status_code == HTTPStatus.CREATED
    assert agent.get(f"{stack}/facts/nodes/c1/ip?wait=5").status_code == HTTPStatus.OK
    assert agent.get(f"{stack}/context").status_code == HTTPStatus.OK
    assert agent.get("/").status_code == HTTPStatus.OK


def test_and_nothing_else(agent: Caller, login: Login, stack: str) -> None:
    login("owner").put(f"{stack}/facts/all/x", 1)
    login("owner").put(f"{stack}/facts/nodes/c2/ip", "mine")
    name = stack.rpartition("/")[2]
    for method, path in [
        ("GET", stack),
        ("DELETE", stack),
        ("GET", "/v1/stacks"),
        ("GET", f"{stack}/facts"),
        ("GET", f"{stack}/events"),
        ("POST", f"{stack}/batch"),
        ("HEAD", f"{stack}/context"),  # HEAD is not GET
        ("HEAD", f"{stack}/facts/nodes/c1/ip"),
        ("OPTIONS", f"{stack}/context"),
        ("get", f"{stack}/context"),
        ("DELETE", f"{stack}/facts/nodes/c1/ip"),
        ("GET", f"{stack}/context/"),
        ("GET", f"/{stack}/context"),
        ("GET", f"/v1//stacks/{name}/context"),
        ("GET", f"/v1/../v1/stacks/{name}/context"),
        ("GET", f"{stack}/./context"),
        ("GET", f"{stack}/facts/nodes/c1/ip/../../../../context"),
        ("GET", f"{stack}/context%2F"),
        ("GET", f"{stack}%2Fcontext%3F"),
        ("GET", f"{stack}/context%0A"),
        ("GET", f"{stack}/context;x"),
        ("PUT", f"{stack}/facts/nodes/c2/ip"),
        ("PUT", f"{stack}/facts/nodes/c1"),
        ("PUT", f"{stack}/facts/nodes/c1/"),
        ("PUT", f"{stack}/facts/nodes/c1/ip/"),
        ("PUT", f"{stack}/facts/nodes/c1/a/b"),
        ("PUT", f"{stack}/facts/nodes/c1/.."),
        ("PUT", f"{stack}/facts/nodes/c1%2F..%2Fc2/ip"),
        ("PUT", f"{stack}/facts/nodes/c1/../c2/ip"),
        ("PUT", f"{stack}/facts/nodes/c1/%2e%2e/c2/ip"),
        ("PUT", f"{stack}/facts/nodes/c1/%252e%252e"),
        ("PUT", f"/v1/stacks/{name}x/facts/nodes/c1/ip"),
        # What ** lets through must still be a valid name.
        ("GET", f"{stack}/facts/all/../nodes/c2/ip"),
        ("GET", f"{stack}/facts/all/%2e%2e/nodes/c2/ip"),
        ("GET", f"{stack}/facts/all/%2E./nodes/c2/ip"),
        ("GET", f"{stack}/facts/all/..%2Fnodes/c2/ip"),
        ("GET", f"{stack}/facts/all/..%5Cnodes/c2/ip"),
        ("GET", f"{stack}/facts/all//x"),
    ]:
        answer = send(agent, method, path)
        assert answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.BAD_REQUEST), (method, path)
        assert b"mine" not in answer.body
    assert login("owner").get(f"{stack}/facts/nodes/c2/ip").json()["value"] == "mine"
    paths = [fact["path"] for fact in login("owner").get(f"{stack}/facts").json()["facts"]]
    assert paths == ["all/x", "nodes/c2/ip"]


def test_an_invalid_service_token_is_refused_beside_a_restricted_one(
    agent: Caller, tokens: dict[str, str], stack: str
) -> None:
    own = agent.session.headers["X-Auth-Token"]
    for junk in ("junk", own, tokens["owner"], tokens["outsider"]):
        for path in (stack, f"{stack}/context"):
            answer = agent.get(path, headers={"X-Service-Token": junk})
            refused(answer, "401 unauthorized")


def test_a_dot_in_a_rule_is_a_dot(restrict: Restrict, login: Login, stack: str) -> None:
    owner = login("owner")
    for name in (f"{stack}.prod", f"{stack}Xprod", f"{stack}-prod"):
        for path in ("nodes/c.1/ip", "nodes/cX1/ip"):
            owner.put(f"{name}/facts/{path}", "mine").raise_for_status()
    agent = restrict(
        ("GET", f"{stack}.prod/context"),
        ("PUT", f"{stack}.prod/facts/nodes/c.1/*"),
    )
    assert agent.get(f"{stack}.prod/context").status_code == HTTPStatus.OK
    assert agent.put(f"{stack}.prod/facts/nodes/c.1/ip", 1).status_code == HTTPStatus.OK
    for method, path in [
        ("GET", f"{stack}Xprod/context"),
        ("GET", f"{stack}-prod/context"),
        ("GET", f"{stack}/prod/context"),
        ("PUT", f"{stack}.prod/facts/nodes/cX1/ip"),
        ("PUT", f"{stack}.prod/facts/nodes/c/1/ip"),
        ("PUT", f"{stack}Xprod/facts/nodes/c.1/ip"),
    ]:
        answer = send(agent, method, path)
        check_refusal(answer.status, answer.headers, answer.json(), "401 unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")
    assert owner.get(f"{stack}.prod/facts/nodes/cX1/ip").json()["value"] == "mine"


def test_one_star_is_one_segment_and_two_are_any_number(
    restrict: Restrict, login: Login, stack: str
) -> None:
    for path in ("one/a", "one/b/c", "any/a", "any/b/c"):
        login("owner").put(f"{stack}/facts/{path}", 1).raise_for_status()
    agent = restrict(("GET", f"{stack}/facts/one/*"), ("GET", f"{stack}/facts/any/**"))
    answers = [
        agent.get(f"{stack}/facts/{path}").status_code
        for path in ("one/a", "any/a", "any/b/c", "one/b/c", "one", "any", "other/a")
    ]
    assert answers == [HTTPStatus.OK] * 3 + [HTTPStatus.UNAUTHORIZED] * 4


def test_a_recursive_deletion_needs_a_rule_for_everything_below(
    restrict: Restrict, login: Login, stack: str
) -> None:
    for path in ("one/b/c", "any/b/c", "fact"):
        login("owner").put(f"{stack}/facts/{path}", 1).raise_for_status()
    agent = restrict(("DELETE", f"{stack}/facts/one/*"), ("DELETE", f"{stack}/facts/any/**"))
    for query in ("recursive=true", "%72ecursive=true", "recursive=false&recursive=true"):
        refused(agent.delete(f"{stack}/facts/one/b?{query}"), "401 unauthorized")
    refused(agent.delete(f"{stack}/facts/any?recursive=true"), "401 unauthorized")
    assert agent.delete(f"{stack}/facts/any/b?recursive=true").json()["deleted"] == 1
    refused(agent.delete(f"{stack}/facts/one/b?recursive=false"), "404 not_found")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "odd",
    [
        "/v1/stacks/(",
        "/v1/stacks/[",
        "/v1/stacks/+*?",
        "/v1/stacks/\\",
        "/(?:.|x)",
        "/|/v1/stacks",
        "/" + "((((a+)+)+)+)+!",
        "/" + "**a" * 42 + "!",
        "/" + "*a" * 63 + "!",
    ],
)
def test_a_rule_of_odd_characters_allows_nothing_and_breaks_nothing(
    restrict: Restrict, login: Login, stack: str, odd: str
) -> None:
    login("owner").put(f"{stack}/facts/a", 1).raise_for_status()
    agent = restrict(("GET", odd), ("GET", f"{stack}/facts/a"))
    refused(agent.get("/v1/stacks"), "401 unauthorized")
    refused(agent.get("/" + "a" * 4000), "401 unauthorized")
    assert agent.get(f"{stack}/facts/a").json()["value"] == 1


def test_a_rule_for_another_service_allows_nothing_here(restrict: Restrict, stack: str) -> None:
    agent = restrict(("GET", "/v1/stacks"), ("GET", "/**"), service="identity")
    refused(agent.get("/v1/stacks"), "401 unauthorized")
    refused(agent.get(stack), "401 unauthorized")


def test_a_rule_names_the_whole_path_with_the_mount_point(
    keystone: KeystoneServer, tmp_path: Path
) -> None:
    config = tmp_path / "factstore.conf"
    write_options(config, {"keystone_authtoken": keystone.accounts.authtoken_options()})
    gate = KeystoneAuth(
        Response("fine"), configuration.read([str(config)]), ValidTokens(SystemClock())
    )
    token = issue(keystone, (("GET", "/facts.d/v1/stacks"),), "contextualization")

    def status(mount_point: str) -> int:
        request = Request.blank("/v1/stacks", headers={"X-Auth-Token": token})
        request.script_name = mount_point
        found: int = request.get_response(gate).status_code
        return found

    mount_points = ("/facts.d", "", "/facts-d", "/facts.d/v1")
    assert [status(mount_point) for mount_point in mount_points] == [200, 401, 401, 401]
