"""Permissions, decided from real tokens."""

from __future__ import annotations

from http import HTTPStatus

import pytest
import requests

from factstore.cmd.processes.keystone import KeystoneServer
from tests.http import Caller, check_refusal, refused
from tests.keystone.conftest import Login
from tests.raw_http import exchange, request_bytes
from tests.streaming import Stream


@pytest.fixture
def owned(login: Login, stack: str) -> str:
    """A stack of the owner's with one fact."""
    assert login("owner").put(f"{stack}/facts/a", 1).status_code == HTTPStatus.CREATED
    return stack


def test_a_fact_names_its_author_and_project(
    keystone: KeystoneServer, login: Login, owned: str
) -> None:
    owner = login("owner")
    fact = owner.get(f"{owned}/facts/a").json()
    assert fact["updated_by"] == keystone.accounts.user_id("owner")
    assert owner.get(owned).json()["project_id"] == keystone.accounts.project_id("owner")


def test_a_reader_sees_the_stacks_of_the_project_and_an_outsider_none(
    login: Login, owned: str
) -> None:
    reader = login("reader")
    assert reader.get(f"{owned}/facts/a").json()["value"] == 1
    names = [stack["name"] for stack in reader.get("/v1/stacks?limit=1000").json()["stacks"]]
    assert owned.rpartition("/")[2] in names
    assert login("outsider").get("/v1/stacks").json()["stacks"] == []


def test_neither_a_stream_nor_a_stale_read_shows_stacks_of_others(login: Login, owned: str) -> None:
    outsider = login("outsider")
    with Stream(outsider.url, f"{owned}/events", dict(outsider.session.headers)) as stream:
        assert stream.answer.status == HTTPStatus.NOT_FOUND
    for path in (owned, f"{owned}/facts/a", f"{owned}/context"):
        refused(outsider.get(f"{path}?consistency=stale"), "404 not_found")
    refused(outsider.get(f"{owned}/facts/a?wait=1"), "404 not_found")


def test_two_projects_may_use_the_same_name(login: Login, owned: str) -> None:
    owner, outsider = login("owner"), login("outsider")
    assert outsider.put(f"{owned}/facts/a", "theirs").status_code == HTTPStatus.CREATED
    assert owner.get(f"{owned}/facts/a").json()["value"] == 1
    assert owner.get(owned).json()["id"] != outsider.get(owned).json()["id"]
    assert outsider.delete(owned).status_code == HTTPStatus.NO_CONTENT
    assert owner.get(f"{owned}/facts/a").json()["value"] == 1


def test_a_foreign_cursor_shows_nothing(login: Login, owned: str) -> None:
    owner, outsider = login("owner"), login("outsider")
    outsider.put(f"{owned}/facts/mine", 1)
    cursor = owner.put(f"{owned}/facts/secret", "theirs").headers["Factstore-Cursor"]
    outsider.put(f"{owned}/facts/mine", 2)
    page = outsider.get(f"{owned}/facts?cursor={cursor}").json()
    assert [fact["path"] for fact in page["facts"]] == ["mine"]
    events = outsider.get(f"{owned}/events?since={cursor}").json()["events"]
    assert [change["path"] for event in events for change in event["changes"]] == ["mine"]
    outsider.delete(owned)


def test_an_idempotency_key_is_its_users_own(login: Login, owned: str) -> None:
    key = {"Idempotency-Key": "the same"}
    first = login("owner").put(f"{owned}/facts/k", 1, headers=key)
    second = login("outsider").put(f"{owned}/facts/k", 2, headers=key)
    third = login("admin").put(f"{owned}/facts/k", 3, headers=key)
    assert [a.status_code for a in (first, second, third)] == [HTTPStatus.CREATED] * 3
    for persona in ("outsider", "admin"):
        login(persona).delete(owned)


def test_an_administrator_lists_any_projects_stacks_and_others_their_own(
    keystone: KeystoneServer, login: Login, owned: str
) -> None:
    project = keystone.accounts.project_id("owner")
    query = f"/v1/stacks?limit=1000&project_id={project}"
    for persona in ("admin", "owner", "reader"):
        listed = login(persona).get(query).json()["stacks"]
        assert owned.rpartition("/")[2] in [stack["name"] for stack in listed]
        assert {stack["project_id"] for stack in listed} == {project}
    refused(login("outsider").get(query), "403 forbidden")
    other = keystone.accounts.project_id("outsider")
    for persona in ("owner", "reader"):
        refused(login(persona).get(f"/v1/stacks?project_id={other}"), "403 forbidden")
    assert login("admin").get("/v1/stacks?project_id=nobody").json()["stacks"] == []


def test_an_unauthenticated_caller_does_not_learn_which_stacks_exist(anonymous: Caller) -> None:
    for path in ("/v1/nowhere", "/nowhere", "/v1/stacks/", "//", "/v1//"):
        refused(anonymous.get(path), "401 unauthorized")


@pytest.mark.parametrize(
    "token", ["junk", "x" * 7000, "gAAAAAB" + "A" * 180, "a b", "../../etc/passwd", "%00", "ö", ""]
)
def test_an_invalid_token_is_refused(anonymous: Caller, owned: str, token: str) -> None:
    answer = anonymous.get(owned, headers={"X-Auth-Token": token.encode()})
    refused(answer, "401 unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")
    if len(token) > 2:
        assert token not in answer.text


def test_an_invalid_service_token_beside_a_valid_token_is_refused(
    login: Login, tokens: dict[str, str], owned: str
) -> None:
    owner = login("owner")
    refused(owner.get(owned, headers={"X-Service-Token": "junk"}), "401 unauthorized")
    # A user's own token is no service's, for want of the role.
    for persona in ("owner", "outsider"):
        headers = {"X-Service-Token": tokens[persona]}
        refused(owner.get(owned, headers=headers), "401 unauthorized")


def test_a_token_header_given_twice_is_refused(
    anonymous: Caller, tokens: dict[str, str], owned: str
) -> None:
    good = tokens["owner"]
    for name in ("X-Auth-Token", "X-Service-Token"):
        for tokens_sent in ((good, good), (good, "junk"), ("junk", good)):
            headers = [f"{name}: {token}" for token in tokens_sent]
            if name != "X-Auth-Token":
                headers.append(f"X-Auth-Token: {good}")
            answer = exchange(anonymous.url, request_bytes("GET", owned, *headers))
            check_refusal(answer.status, answer.headers, answer.json(), "400 ambiguous")


def test_a_token_without_a_project_is_refused(
    keystone: KeystoneServer, anonymous: Caller, owned: str
) -> None:
    answer = requests.post(
        f"{keystone.auth_url}/auth/tokens",
        json={
            "auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {
                        "user": {
                            "name": "admin",
                            "domain": {"id": "default"},
                            "password": keystone.accounts.password("admin"),
                        }
                    },
                },
                "scope": {"system": {"all": True}},
            }
        },
        proxies={"http": ""},
        timeout=60,
    )
    assert answer.status_code == HTTPStatus.CREATED
    token = {"X-Auth-Token": answer.headers["X-Subject-Token"]}
    refused(anonymous.get(owned, headers=token), "403 project_required")
