"""Instances obtain grants with a group's grant over HTTP, and these end with it."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.functional.test_grant_lifetime import seconds_left
from tests.grants import Held, issue, let_expire
from tests.http import Caller, refused
from tests.service import ApiServer

SECRET = "canary-secret"


@pytest.fixture
def group(api: Caller, granted: str) -> Held:
    """The grant of the group compute."""
    return issue(api, granted, None, group="compute", ttl=600)


@pytest.fixture
def instance(api: Caller, group: Held) -> Iterator[Caller]:
    """An instance that has it, and is nobody yet."""
    with group.caller(api.url) as caller:
        yield caller


def test_an_enrolled_agent_acts_as_its_member_only(
    api: Caller, granted: str, instance: Caller
) -> None:
    own = issue(instance, granted, "c5")
    with own.caller(api.url) as enrolled:
        put = enrolled.put(f"{granted}/facts/nodes/c5/ip", 5)
        assert put.json()["updated_by"] == f"grant:{own.id}"
        body = {"group": "compute", "ttl": 600}
        assert enrolled.put(f"{granted}/members/c5", json=body).status_code == HTTPStatus.CREATED
        for answer in (
            enrolled.put(f"{granted}/facts/nodes/c1/ip", 5),
            enrolled.put(f"{granted}/members/c5", json={"group": "head"}),
            enrolled.put(f"{granted}/members/c1", json={"group": "compute"}),
            enrolled.post(f"{granted}/grants", json={"member": "c6"}),
            enrolled.get(f"{granted}/facts/configs/c1/a"),
        ):
            refused(answer, "403 forbidden")


def test_a_groups_grant_does_not_read_configs_of_members(granted: str, instance: Caller) -> None:
    paths = [fact["path"] for fact in instance.get(f"{granted}/facts").json()["facts"]]
    assert paths == ["nodes/c1/ip", "nodes/c2/ip", "shared"]
    assert "configs" not in instance.get(f"{granted}/context").json()["facts"]
    refused(instance.get(f"{granted}/facts/configs/c1/a"), "403 forbidden")


def test_a_fact_encrypted_for_a_group_is_read_by_members_and_not_with_the_groups_grant(
    api: Caller, granted: str, instance: Caller
) -> None:
    body = {"value": SECRET, "sensitive": True, "readers": ["group/compute"]}
    api.put(f"{granted}/facts/key", json=body).raise_for_status()
    refused(instance.get(f"{granted}/facts/key"), "403 forbidden")
    assert SECRET not in instance.get(f"{granted}/context").text
    with issue(instance, granted, "c5").caller(api.url) as enrolled:
        assert enrolled.get(f"{granted}/facts/key").json()["value"] == SECRET


def test_a_groups_grant_is_renewed_for_its_own_lifetime_only(
    granted: str, instance: Caller, group: Held
) -> None:
    path = f"{granted}/grants/{group.id}/renew"
    for ttl in (60, 599, 601):  # who could make it shorter could end it for all
        refused(instance.post(path, json={"ttl": ttl}), "403 forbidden")
    assert instance.post(path, json={"ttl": 600}).ok
    assert 540 < seconds_left(instance.post(path).json()) <= 600


def test_a_secret_that_another_one_took_the_place_of_is_refused(
    granted: str, api: Caller, instance: Caller
) -> None:
    former = issue(instance, granted, "c5")
    now = issue(instance, granted, "c5")
    with former.caller(api.url) as before, now.caller(api.url) as after:
        eventually(lambda: not before.get(granted).ok)
        refused(before.get(granted), "401 unauthorized")
        assert after.get(granted).ok


def test_a_grant_issued_by_one_worker_is_valid_at_all_until_the_groups_grant_ends(
    one_worker: ApiServer, two_workers: ApiServer, stack: str
) -> None:
    with Caller(one_worker.url) as owner:
        group = issue(owner, stack, None, group="compute")
        with group.caller(two_workers.url) as instance:
            own = issue(instance, stack, "c5")
        holders = [own.caller(url) for url in (one_worker.url, *[two_workers.url] * 6)]
        for n, holder in enumerate(holders):
            assert holder.put(f"{stack}/facts/nodes/c5/n{n}", n).status_code == HTTPStatus.CREATED
        owner.delete(f"{stack}/grants/{group.id}").raise_for_status()
        for holder in holders:
            eventually(lambda h=holder: h.get(stack).status_code == 401)  # type: ignore[misc]
            refused(holder.put(f"{stack}/facts/nodes/c5/late", 1), "401 unauthorized")
            holder.close()
        refused(owner.get(f"{stack}/facts/nodes/c5/late"), "404 not_found")
        assert owner.get(f"{stack}/grants").json()["grants"] == []
        assert owner.get(stack).json()["usage"]["facts"] == 7  # theirs, and no grant any more


def test_members_grants_expire_with_the_groups(
    etcd: EtcdServer, api: Caller, granted: str, instance: Caller, group: Held
) -> None:
    own = issue(instance, granted, "c5")
    with own.caller(api.url) as enrolled:
        assert enrolled.get(granted).ok
        let_expire(etcd.endpoint, api, granted, group)
        eventually(lambda: enrolled.get(granted).status_code != HTTPStatus.OK)
        refused(enrolled.get(granted), "401 unauthorized")
        refused(enrolled.post(f"{granted}/grants/{own.id}/renew"), "401 unauthorized")
    refused(api.get(f"{granted}/grants/{own.id}"), "404 not_found")


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, "400 schema"),
        ({"role": "reader"}, "403 forbidden"),
        ({"member": "c1/x"}, "400 path_invalid"),
        ({"member": "c5", "ttl": 59}, "400 ttl_invalid"),
        ({"member": "c5", "parent": "x"}, "400 schema"),
        ({"member": ["c5"]}, "400 schema"),
        ({"member": ""}, "400 path_invalid"),
        ({"member": None, "group": None}, "400 schema"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_to_an_instance_too(
    granted: str, instance: Caller, body: dict[str, object], refusal: str
) -> None:
    refused(instance.post(f"{granted}/grants", json=body), refusal)
