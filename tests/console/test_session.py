"""The console's session: a password becomes a token in a cookie that only the console can use."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from typing import Any

import pytest
import requests

from factstore.cmd.processes.accounts import PERSONAS
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from factstore.console.cookie import HEADER, NAME
from tests.cases import cases
from tests.console.conftest import CONSOLE
from tests.eventually import eventually
from tests.http import Caller, fresh_stack, refused
from tests.service import ApiServer, check_log

SESSION = "/console/session"


def login(keystone: KeystoneServer, persona: str = "owner") -> dict[str, str]:
    """Return the body with which a persona signs in."""
    who = PERSONAS[persona]
    password = keystone.accounts.password(persona)
    return {"user": who.username, "password": password, "project": who.project}


@pytest.fixture
def page(guarded: ApiServer) -> Iterator[Caller]:
    """A page of the console, with a browser's headers and cookies."""
    headers = {HEADER: "1", "Origin": guarded.url, "Sec-Fetch-Site": "same-origin"}
    with Caller(guarded.url, headers) as caller:
        yield caller


@pytest.fixture
def signed_in(page: Caller, keystone: KeystoneServer) -> Caller:
    """A page at which the owner has signed in."""
    assert page.post(SESSION, json=login(keystone)).status_code == 201
    return page


def cookie_of(answer: requests.Response) -> Any:
    return SimpleCookie(answer.headers["Set-Cookie"])[NAME]


def test_a_password_becomes_a_cookie_that_no_script_can_read(
    page: Caller, keystone: KeystoneServer
) -> None:
    answer = page.post(SESSION, json=login(keystone))
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    body, cookie = answer.json(), cookie_of(answer)
    who = PERSONAS["owner"]
    assert (body["user"], body["project"]) == (who.username, who.project)
    assert cookie.value not in answer.text
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert cookie["path"] == "/"
    assert not cookie["secure"]  # http
    left = datetime.fromisoformat(body["expires_at"]) - datetime.now(UTC)
    assert abs(timedelta(seconds=int(cookie["max-age"])) - left) < timedelta(seconds=60)
    found = page.get(SESSION).json()
    assert (found["auth"], found["user"], found["project"]) == (
        "keystone",
        who.username,
        who.project,
    )


def test_the_cookie_is_for_https_alone_if_the_browser_uses_that(
    guarded: ApiServer, keystone: KeystoneServer
) -> None:
    host = guarded.url.removeprefix("http://")
    headers = {HEADER: "1", "Origin": f"https://{host}"}
    with Caller(guarded.url, headers) as caller:
        assert cookie_of(caller.post(SESSION, json=login(keystone)))["secure"]


def test_what_policy_allows_is_shown(page: Caller, keystone: KeystoneServer) -> None:
    page.post(SESSION, json=login(keystone, "reader"))
    assert page.get(SESSION).json()["allowed"] == ["list_configurations"]
    refused(page.put(f"/v1/stacks/{fresh_stack()}/facts/a", 1), "403 forbidden")


def test_the_cookie_serves_the_whole_api(signed_in: Caller) -> None:
    stack = f"/v1/stacks/{fresh_stack()}"
    for value in (1, 2):  # the second time, the worker knows the token
        assert signed_in.put(f"{stack}/facts/a", value).ok
        assert signed_in.get(f"{stack}/facts/a").json()["value"] == value
    batch = {"operations": [{"put": {"path": "b", "value": 1}}]}
    assert signed_in.post(f"{stack}/batch", json=batch).ok
    accept = {"Accept": "text/event-stream"}
    with signed_in.get(f"{stack}/events?initial=true", stream=True, headers=accept) as stream:
        lines = (line for line in stream.iter_lines() if line.startswith(b"event"))
        assert next(lines) == b"event: snapshot"
    assert signed_in.delete(stack).status_code == 204


def test_no_other_page_can_use_the_cookie(signed_in: Caller) -> None:
    stack = f"/v1/stacks/{fresh_stack()}"
    signed_in.put(f"{stack}/facts/a", 1).raise_for_status()
    host = signed_in.url.removeprefix("http://")
    foreign = [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": f"http://{host}.elsewhere.example"},
        {"Origin": f"http://elsewhere.example@{host}x"},
        {"Origin": f"ftp://{host}"},
        {"Origin": f"http://{host.partition(':')[0]}:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ]
    with cases() as case:
        for headers in foreign:
            for method, path, body in (
                ("PUT", f"{stack}/facts/a", {"value": 2}),
                ("POST", f"{stack}/batch", {"operations": [{"delete": {"path": "a"}}]}),
                ("PATCH", f"{stack}/members/m", {"state": "ready"}),
                ("DELETE", stack, None),
                ("DELETE", SESSION, None),
                ("POST", SESSION, {"token": "x"}),
            ):
                with case(f"{method} {path} {headers}"):
                    refused(signed_in(method, path, json=body, headers=headers), "403 forbidden")
            with case(f"GET {headers}"):
                refused(signed_in.get(f"{stack}/facts/a", headers=headers), "403 forbidden")
        # Without its header, the cookie is none: a form or an image of another page cannot send it.
        for value in (None, "", "0", "true", "1, 1"):
            with case(f"{HEADER}: {value}"):
                headers = {HEADER: value}  # type: ignore[dict-item]
                refused(signed_in.get(f"{stack}/facts/a", headers=headers), "401 unauthorized")
                refused(signed_in.delete(stack, headers=headers), "401 unauthorized")
        with case("a change without an origin"):
            headers = {"Origin": None}  # type: ignore[dict-item]
            refused(signed_in.put(f"{stack}/facts/a", 2, headers=headers), "403 forbidden")
            assert signed_in.get(f"{stack}/facts/a", headers=headers).json()["value"] == 1
        with case("two identities"):
            for more in ({"X-Auth-Token": "x"}, {"Authorization": "Bearer a.b"}):
                refused(signed_in.get(stack, headers=more), "400 ambiguous")
        with case("two cookies"):
            two = {"Cookie": f"{NAME}=a; {NAME}=b"}
            refused(
                requests.get(signed_in.url + stack, headers={HEADER: "1", **two}), "400 ambiguous"
            )
    assert signed_in.get(f"{stack}/facts/a").json()["value"] == 1


def test_a_pasted_token_becomes_the_session(page: Caller, keystone: KeystoneServer) -> None:
    token = keystone.accounts.issue("owner")
    assert page.post(SESSION, json={"token": token}).status_code == 201
    assert page.get("/v1/stacks").ok
    keystone.accounts.revoke(token)
    refused(page.post(SESSION, json={"token": token}), "401 unauthorized")


def test_signing_out_revokes_the_token(signed_in: Caller) -> None:
    token = signed_in.session.cookies[NAME]
    assert signed_in.delete(SESSION).status_code == 204
    assert NAME not in signed_in.session.cookies
    refused(signed_in.get("/v1/stacks"), "401 unauthorized")

    with Caller(signed_in.url, {"X-Auth-Token": token}) as other:
        assert eventually(lambda: other.get("/v1/stacks").status_code == 401)
    assert signed_in.delete(SESSION).status_code == 204  # again


def test_a_wrong_sign_in_is_refused_and_says_nothing_more(
    page: Caller, keystone: KeystoneServer
) -> None:
    right = login(keystone)
    wrong = [
        {"user": "nobody"},
        {"password": "canary-password"},
        {"project": "nothing"},
        {"user_domain": "x"},
        {"project_domain": "x"},
        {"user": f"{right['user']}\n"},
        {"user": "ü\x00"},
    ]
    texts = set()
    with cases() as case:
        for change in wrong:
            with case(change):
                answer = page.post(SESSION, json={**right, **change})
                texts.add(refused(answer, "401 unauthorized")["detail"])
                assert "Set-Cookie" not in answer.headers
        for token in ("canary-token", "x" * 3500, "a b", "ü"):
            with case(token[:20]):
                refused(page.post(SESSION, json={"token": token}), "401 unauthorized")
    assert len(texts) == 1


def test_a_malformed_sign_in_is_refused(page: Caller, keystone: KeystoneServer) -> None:
    right = login(keystone)
    secret = "canary-password"
    bodies: list[Any] = [
        {},
        [],
        None,
        "x",
        {**right, "nonsense": 1},
        {**right, "token": "x"},
        {"user": "x", "password": secret},
        {"user": "x", "project": "x"},
        {**right, "password": 1},
        {**right, "password": [secret]},
        {**right, "password": ""},
        {**right, "user": "x" * 256},
        {**right, "password": secret * 1000},
        {"token": "x" * 3501},
        {"token": ""},
        {"token": None},
    ]
    with cases() as case:
        for number, body in enumerate(bodies):
            with case(number):
                answer = page.post(SESSION, json=body)
                assert answer.status_code == 400, answer.text
                assert secret not in answer.text
        with case("no JSON"):
            refused(page.post(SESSION, data=b"user=x"), "415 media_type")
        with case("not JSON"):
            kind = {"Content-Type": "application/json"}
            refused(page.post(SESSION, data=b"{", headers=kind), "400 json_invalid")
        for method in ("PUT", "PATCH", "BREW"):
            with case(method):
                refused(page(method, SESSION), "405 method_not_allowed")
        for method in ("GET", "POST", "DELETE"):
            with case(f"{method} with a query"):
                assert page(method, f"{SESSION}?x=1").status_code in (400, 401)


def test_nobody_can_guess_passwords_quickly(page: Caller, keystone: KeystoneServer) -> None:
    wrong = {**login(keystone, "reader"), "password": "wrong", "user": "guessed"}
    codes = [page.post(SESSION, json=wrong).status_code for _ in range(7)]
    assert codes[0] == 401
    assert codes[-1] == 429
    answer = page.post(SESSION, json=wrong)
    refused(answer, "429 rate_limited")
    assert int(answer.headers["Retry-After"]) >= 1
    for spelling in ("Guessed", "GUESSED ", " guessed", "gu\u00e9ssed", "\uff47uessed"):
        refused(page.post(SESSION, json={**wrong, "user": spelling}), "429 rate_limited")
    assert page.post(SESSION, json=login(keystone)).status_code == 201  # others sign in


def test_without_keystone_a_sign_in_is_refused_for_now(
    etcd: EtcdServer, keystone: KeystoneServer, tmp_path: Any
) -> None:
    options = {**CONSOLE, "console": {"enabled": "true", "auth_url": "http://127.0.0.1:1/v3"}}
    with (
        ApiServer(
            [etcd.endpoint], tmp_path / "api", auth="keystone", keystone=keystone, options=options
        ) as server,
        Caller(server.url, {HEADER: "1", "Origin": server.url}) as caller,
    ):
        for body in (login(keystone), {"token": "x"}):
            answer = caller.post(SESSION, json=body)
            refused(answer, "503 identity_unavailable")
            assert answer.headers["Retry-After"] == "2"
        cookie = {"Cookie": f"{NAME}=canary"}
        answer = caller.delete(SESSION, headers=cookie)
        refused(answer, "503 identity_unavailable")
        check_log(server, keystone.accounts.password("owner"), "canary")
