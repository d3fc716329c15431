"""The holder of a grant reads a sensitive fact if the fact permits it."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from tests.grants import issue
from tests.http import Caller, refused

SECRET = "canary-secret"


def put(api: Caller, stack: str, path: str, *readers: str) -> None:
    body = {"value": SECRET, "sensitive": True, "readers": list(readers)}
    api.put(f"{stack}/facts/{path}", json=body).raise_for_status()


@pytest.fixture
def secrets(api: Caller, stack: str) -> str:
    """A stack with sensitive facts for this one and that."""
    put(api, stack, "repository-key", "group/head")
    put(api, stack, "for-c1", "member/c1")
    put(api, stack, "nobodys")
    for folder in ("nodes", "configs", "results"):
        for member in ("c1", "c10"):
            put(api, stack, f"{folder}/{member}/key")
    return stack


OWN = {"for-c1", "nodes/c1/key", "configs/c1/key", "results/c1/key"}


@pytest.mark.parametrize(
    ("of", "seen"),
    [
        ({"member": "c1", "group": "compute"}, OWN),
        ({"member": "c1", "group": "head"}, OWN | {"repository-key"}),
        ({"member": "c1"}, OWN),
        ({"member": "h1", "group": "head"}, {"repository-key"}),
    ],
)
def test_a_holder_reads_sensitive_facts_that_are_its_own_or_name_it_and_no_others(
    api: Caller, secrets: str, of: dict[str, str], seen: set[str]
) -> None:
    grant = issue(api, secrets, **of)
    paths = [fact["path"] for fact in api.get(f"{secrets}/facts").json()["facts"]]
    with grant.caller(api.url) as holder:
        answers = {path: holder.get(f"{secrets}/facts/{path}") for path in paths}
        shown = {path for path, answer in answers.items() if SECRET in answer.text}
        assert shown == seen
        for path in set(paths) - seen:
            # Of others' configs it is not even told that they are there.
            assert answers[path].status_code in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
        for url in ("facts", "context", "context?include=results"):
            assert SECRET not in holder.get(f"{secrets}/{url}").text
        others = {"configs/c1/key", "configs/c10/key"} - {f"configs/{of['member']}/key"}
        tags = holder.get(f"{secrets}/context").json()["sensitive"]
        assert not others & tags.keys()


def test_a_holder_may_read_its_own_sensitive_fact_and_put_it_again_unchanged(
    api: Caller, stack: str
) -> None:
    api.put(f"{stack}/facts/open", 1).raise_for_status()
    grant = issue(api, stack, member="c1")
    fact, body = f"{stack}/facts/nodes/c1/key", {"value": SECRET, "sensitive": True}
    with grant.caller(api.url) as holder:
        assert holder.put(fact, json=body).json()["value"] == SECRET
        assert holder.put(fact, json=body).headers["Factstore-Unchanged"] == "true"
    other = issue(api, stack, member="c2")
    with other.caller(api.url) as holder:
        refused(holder.get(fact), "403 forbidden")
