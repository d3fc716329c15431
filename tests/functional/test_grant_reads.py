"""The holder of a grant reads its stack, and below configs/ only its member's facts."""

from __future__ import annotations

import json
from http import HTTPStatus

import requests

from tests.functional.conftest import SHOWN
from tests.functional.test_blocking_queries import waiting
from tests.functional.test_streams import snapshot
from tests.grants import Held, issue, issue_reader
from tests.http import Caller, refused
from tests.streaming import Stream


def paths(answer: requests.Response) -> list[str]:
    return [fact["path"] for fact in answer.json()["facts"]]


def test_every_page_of_a_list_leaves_out_configs_of_other_members(
    agent: Caller, reader: Caller, granted: str
) -> None:
    mine = ["configs/c1/a", *SHOWN]
    for caller, seen in ((agent, mine), (reader, list(SHOWN))):
        assert paths(caller.get(f"{granted}/facts")) == seen
        found, query = [], "?limit=1"
        while True:
            page = caller.get(f"{granted}/facts{query}")
            assert "configs/c1x" not in page.text
            assert "configs/c2" not in page.text
            found += paths(page)
            following = [link["href"] for link in page.json()["links"] if link["rel"] == "next"]
            if not following:
                break
            query = f"?{following[0].partition('?')[2]}"
        assert found == seen


def test_pages_of_an_earlier_revision_leave_out_configs_of_others(
    api: Caller, agent: Caller, reader: Caller, granted: str
) -> None:
    cursor = api.get(f"{granted}/facts").json()["cursor"]
    operations = [{"put": {"path": f"configs/c2/{n}", "value": n}} for n in range(20)]
    later = api.post(f"{granted}/batch", json={"operations": operations}).json()["cursor"]
    api.delete(f"{granted}/facts/configs/c2/a").raise_for_status()
    for at in (cursor, later):
        for limit in (1, 2, 3, 100):
            query = f"?cursor={at}&limit={limit}"
            assert paths(agent.get(f"{granted}/facts{query}")) == ["configs/c1/a", *SHOWN][:limit]
            assert paths(reader.get(f"{granted}/facts{query}")) == list(SHOWN)[:limit]
    after = f"?cursor={later}&marker=configs/c2/5"
    assert paths(agent.get(f"{granted}/facts{after}")) == list(SHOWN)


def test_a_prefix_or_a_marker_does_not_find_configs_of_others(agent: Caller, granted: str) -> None:
    for prefix in ("configs/c2", "configs/c2/a", "configs/c1x", "configs/none"):
        assert paths(agent.get(f"{granted}/facts?prefix={prefix}")) == []
    assert paths(agent.get(f"{granted}/facts?prefix=configs")) == ["configs/c1/a"]
    assert paths(agent.get(f"{granted}/facts?marker=configs/c2")) == list(SHOWN)


def test_a_fact_for_another_member_is_refused_whether_it_exists_or_not(
    agent: Caller, reader: Caller, granted: str
) -> None:
    for path in ("configs/c2/a", "configs/c2/none", "configs/c1x/a", "configs/none/x"):
        for query in ("", "?format=raw", "?wait=50", "?consistency=stale"):
            for caller in (agent, reader):
                refused(caller.get(f"{granted}/facts/{path}{query}"), "403 forbidden")
        assert agent("HEAD", f"{granted}/facts/{path}").status_code == HTTPStatus.FORBIDDEN
        tag = {"If-None-Match": "*"}
        refused(agent.get(f"{granted}/facts/{path}?wait=50", headers=tag), "403 forbidden")
    assert agent.get(f"{granted}/facts/configs/c1/a").json()["value"] == "mine"
    refused(agent.get(f"{granted}/facts/configs/c1/none"), "404 not_found")
    refused(reader.get(f"{granted}/facts/configs/c1/a"), "403 forbidden")


def test_a_context_leaves_out_configs_of_others_and_its_etag_ignores_them(
    api: Caller, agent: Caller, reader: Caller, granted: str
) -> None:
    context = f"{granted}/context"
    for caller, seen in ((agent, {"c1": {"a": "mine"}}), (reader, None), (api, ...)):
        facts = caller.get(context).json()["facts"]
        assert seen is ... or facts.get("configs") == seen
        assert facts["nodes"] == {"c1": {"ip": 1}, "c2": {"ip": 2}}
    before = {caller: caller.get(context).headers["ETag"] for caller in (api, agent, reader)}
    assert len(set(before.values())) == 3
    api.put(f"{granted}/facts/configs/c2/a", "changed").raise_for_status()
    after = {caller: caller.get(context).headers["ETag"] for caller in (api, agent, reader)}
    assert [before[c] == after[c] for c in (api, agent, reader)] == [False, True, True]
    api.put(f"{granted}/facts/configs/c1/a", "changed").raise_for_status()
    assert agent.get(context).headers["ETag"] != after[agent]
    assert reader.get(context).headers["ETag"] == after[reader]
    assert agent("HEAD", context).headers["ETag"] == agent.get(context).headers["ETag"]


def test_a_wait_for_a_context_is_not_ended_by_configs_of_others(
    api: Caller, agent: Caller, granted: str, grant: Held
) -> None:
    tag = agent.get(f"{granted}/context").headers["ETag"]
    said = [f"{name}: {value}" for name, value in grant.basic.items()]
    with waiting(api, f"{granted}/context?wait=30", f"If-None-Match: {tag}", *said) as (one,):
        api.put(f"{granted}/facts/configs/c2/a", "changed").raise_for_status()
        api.put(f"{granted}/facts/configs/c1/a", "changed").raise_for_status()
        answer = one.answer()
    assert json.loads(answer.body)["facts"]["configs"] == {"c1": {"a": "changed"}}


def test_the_context_of_one_member_is_not_kept_for_another(api: Caller, granted: str) -> None:
    seen = {}
    for member in ("c1", "c2", "c1"):
        with issue(api, granted, member).caller(api.url) as agent:
            seen[member] = agent.get(f"{granted}/context").json()["facts"]["configs"]
    assert seen == {"c1": {"c1": {"a": "mine"}}, "c2": {"c2": {"a": "theirs"}}}
    assert len(api.get(f"{granted}/context").json()["facts"]["configs"]) == 3


def test_events_and_snapshots_leave_out_configs_of_others(
    api: Caller, agent: Caller, granted: str, grant: Held
) -> None:
    since = api.get(f"{granted}/facts").json()["cursor"]
    with (
        Stream(api.url, f"{granted}/events?initial=true", grant.bearer) as stream,
        Stream(api.url, f"{granted}/events?prefix=configs", grant.basic) as narrow,
    ):
        assert snapshot(stream)[0] == ["configs/c1/a", *SHOWN]
        api.put(f"{granted}/facts/configs/c2/a", "hidden").raise_for_status()
        api.delete(f"{granted}/facts/configs/c1x/a").raise_for_status()
        mixed = [
            {"put": {"path": "configs/c2/b", "value": "hidden"}},
            {"put": {"path": "configs/c1/b", "value": "seen"}},
        ]
        api.post(f"{granted}/batch", json={"operations": mixed}).raise_for_status()
        api.put(f"{granted}/facts/shared", "seen").raise_for_status()
        assert stream.expect("change").paths == ["configs/c1/b"]
        assert stream.expect("change").paths == ["shared"]
        assert narrow.expect("change").paths == ["configs/c1/b"]
    page = agent.get(f"{granted}/events?since={since}")
    assert "hidden" not in page.text
    assert "configs/c2" not in page.text
    changes = [change["path"] for event in page.json()["events"] for change in event["changes"]]
    assert changes == ["configs/c1/b", "shared"]
    quiet = agent.get(f"{granted}/events?since={since}&prefix=configs/c2").json()
    assert quiet["events"] == []
    assert quiet["next"] != since


def test_issuing_renewing_and_revoking_are_no_news(
    api: Caller, granted: str, reader: Caller
) -> None:
    context = reader.get(f"{granted}/context").headers["ETag"]
    since = api.get(f"{granted}/facts").json()["cursor"]
    other = issue(api, granted)
    assert api.post(f"{granted}/grants/{other.id}/renew").ok
    assert api.delete(f"{granted}/grants/{other.id}").ok
    assert api.get(f"{granted}/events?since={since}").json()["events"] == []
    assert reader.get(f"{granted}/context").headers["ETag"] == context


def test_a_reader_for_a_member_reads_the_configs_of_that_member(api: Caller, granted: str) -> None:
    with issue_reader(api, granted, "c1").caller(api.url) as reader:
        assert paths(reader.get(f"{granted}/facts")) == ["configs/c1/a", *SHOWN]
        refused(reader.put(f"{granted}/facts/nodes/c1/ip", 1), "403 forbidden")
        refused(reader.put(f"{granted}/members/c1", json={"group": "g"}), "403 forbidden")


def test_a_holder_reaches_no_other_stack_nor_the_project(
    api: Caller, agent: Caller, granted: str
) -> None:
    api.put(f"{granted}x/facts/nodes/c1/ip", 1).raise_for_status()
    for path in (f"{granted}x", f"{granted}x/facts/nodes/c1/ip", f"{granted}y/context"):
        refused(agent.get(path), "403 forbidden")
    refused(agent.put(f"{granted}x/facts/nodes/c1/ip", 2), "403 forbidden")
    refused(agent.put(f"{granted}y/facts/nodes/c1/ip", 2), "403 forbidden")
    refused(api.get(f"{granted}y"), "404 not_found")
    for path in ("/v1/stacks", "/v1/limits", "/v1/stacks?project_id=none"):
        refused(agent.get(path), "403 forbidden")
