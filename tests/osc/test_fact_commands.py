"""The commands that show and change facts, in the process of the test, against a service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factstore.client import Put, Stack
from tests.osc.shell import Shell

# Facts


def test_a_fact_is_set_shown_listed_and_unset(openstack: Shell, stack: Stack) -> None:
    name = stack.name
    created = openstack.json("fact", "set", name, "nodes/head/ip", "10.0.0.5")
    assert (created["value"], created["unchanged"]) == ("10.0.0.5", False)
    assert openstack.json("fact", "set", name, "nodes/head/ip", "10.0.0.5")["unchanged"] is True
    shown = openstack.json("fact", "get", name, "nodes/head/ip")
    assert shown.items() <= created.items()
    value = ("-f", "value", "-c", "value")
    assert openstack.ok("fact", "get", name, "nodes/head/ip", *value) == "10.0.0.5\n"
    openstack.ok("fact", "set", name, "other", "x", "--ttl", "60", "--kind", "parameter")
    (listed,) = openstack.json("fact", "list", name, "--prefix", "nodes")
    assert (listed["Path"], listed["Value"]) == ("nodes/head/ip", "10.0.0.5")
    longer = openstack.json("fact", "list", name, "--long")[1]
    assert (longer["Path"], longer["TTL"], longer["Kind"]) == ("other", 60, "parameter")
    assert openstack.ok("fact", "unset", name, "other", "missing") == ""
    assert openstack.ok("fact", "unset", f"no-{name}", "other", "missing") == ""
    assert [fact.path for fact in stack.snapshot().facts] == ["nodes/head/ip"]


def test_changes_are_listed_and_undone(openstack: Shell, stack: Stack) -> None:
    name = stack.name
    stack.put("a", 1, kind="parameter", ttl=60)
    stack.put("a", {"b": 2}, kind="parameter", ttl=60)
    then = openstack.json("fact", "context", "show", name)
    stack.delete("a")
    stack.put("b", "secret", sensitive=True)
    stack.put("b", "other", sensitive=True)
    stack.member("c1").join("compute")
    assert openstack.json("fact", "context", "show", name, "--at", then["cursor"]) == then
    differences = openstack.json("fact", "diff", name, then["cursor"])
    assert [tuple(row.values())[:4] for row in differences] == [
        ("fact", "a", {"b": 2}, None),
        ("fact", "b", None, None),
        ("member", "c1", None, {"attributes": {}, "group": "compute", "state": "joining"}),
    ]
    assert "(sensitive)" in openstack.ok("fact", "diff", name, then["cursor"])
    assert openstack.json("fact", "diff", name, then["cursor"], then["cursor"]) == []
    assert "send a cursor" in openstack.refused("fact", "diff", name, "yesterday")
    rows = openstack.json("fact", "history", name, "a")
    assert [(row["Type"], row["Value"]) for row in rows] == [
        ("fact.delete", None),
        ("fact.put", {"b": 2}),
        ("fact.put", 1),
    ]
    assert all(row["Request ID"].startswith("req-") for row in rows)
    assert openstack.json("fact", "history", name, "a", "--before", rows[1]["Cursor"]) == rows[2:]
    reverted = openstack.json("fact", "revert", name, "a")
    assert (reverted["value"], reverted["kind"], reverted["ttl"]) == ({"b": 2}, "parameter", 60)
    openstack.ok("fact", "revert", name, "a", "--to", rows[2]["Cursor"])
    assert stack.get("a").value == 1
    for arguments, reason in (
        (("a", "--to", rows[0]["Cursor"]), "did not exist then"),
        (("a", "--to", "yesterday"), "is not a cursor"),
        (("b",), "is sealed"),
    ):
        assert reason in openstack.refused("fact", "revert", name, *arguments)
    assert openstack.json("fact", "history", name, "b")[0]["Value"] is None


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("4", 4, "4\n"),
        ("true", True, "true\n"),
        ('{"b": [1, null]}', {"b": [1, None]}, '{"b": [1, null]}\n'),
        ('"$(id) `id` \\\\ \\""', '$(id) `id` \\ "', '$(id) `id` \\ "\n'),
    ],
)
def test_json_values_are_printed_as_json_and_text_is_printed_bare(
    openstack: Shell, stack: Stack, text: str, value: object, shown: str
) -> None:
    fact = openstack.json("fact", "set", stack.name, "a", text, "--json")
    assert fact["value"] == value
    get = ("fact", "get", stack.name, "a", "-c", "value")
    assert openstack.ok(*get, "-f", "value") == shown
    assert openstack.ok(*get, "-f", "yaml").startswith("value:")


def test_a_shell_that_evaluates_the_output_runs_nothing(openstack: Shell, stack: Stack) -> None:
    stack.put("a", '$(id) `id` \\ "')
    evaluated = openstack.ok("fact", "get", stack.name, "a", "-c", "value", "-f", "shell")
    assert evaluated == 'value="\\$(id) \\`id\\` \\\\ \\""\n'


def test_a_table_has_no_control_characters_and_short_values(openstack: Shell, stack: Stack) -> None:
    stack.batch([Put("a", "\x1b[31mred\u202e"), Put("b", "x" * 200), Put("c", {"d": "\x9b"})])
    listed = openstack.ok("fact", "list", stack.name)
    assert "\\x1b[31mred\\u202e" in listed
    assert f"{'x' * 79}…" in listed
    assert all(line.isprintable() for line in listed.splitlines())
    assert openstack.json("fact", "list", stack.name)[0]["Value"] == "\x1b[31mred\u202e"


def test_a_sensitive_value_comes_from_a_file_and_is_shown_by_get_alone(
    openstack: Shell, stack: Stack, tmp_path: Path
) -> None:
    name, secret = stack.name, tmp_path / "secret"
    secret.write_text("hunter2")
    sensitive = ("--from-file", "--sensitive", "--reader", "group/head")
    set_password = ("fact", "set", name, "password", str(secret), *sensitive)
    assert "hunter2" not in openstack.ok(*set_password)
    assert "(sensitive)" in openstack.ok("fact", "list", name)
    assert openstack.json("fact", "list", name)[0]["Value"] is None
    assert openstack.json("fact", "get", name, "password")["value"] == "hunter2"


def test_errors_are_those_of_the_service(openstack: Shell, stack: Stack) -> None:
    name = stack.name
    etag = openstack.json("fact", "set", name, "a", "1")["etag"]
    assert openstack.refused("fact", "get", name, "b").startswith("There is no fact at 'b'")
    assert "already exists" in openstack.refused("fact", "set", name, "a", "2", "--if-absent")
    openstack.ok("fact", "set", name, "a", "2", "--if-match", etag)
    assert "etag" in openstack.refused("fact", "set", name, "a", "3", "--if-match", etag)
    assert "not JSON" in openstack.refused("fact", "set", name, "a", "{", "--json")
    missing = openstack.refused("fact", "set", name, "a", "--from-file", "/nonexistent")
    assert missing.startswith("'/nonexistent' cannot be read")
    assert "'a' is" in openstack.refused("fact", "set", name, "a/b", "1")
    refused = openstack.refused("fact", "set", name, "uni/ü", "1")
    assert refused.startswith("The path 'uni/ü' is not valid: a path is 1 to 16 segments")
    assert "--timeout" in openstack.refused("fact", "wait", name, "b", "--timeout=-1", status=2)
    pair = ("fact", "batch", name, "--put", "a")
    assert "--put needs NAME=VALUE" in openstack.refused(*pair, status=2)


def test_delete_reports_what_does_not_exist_and_deletes_the_rest(
    openstack: Shell, stack: Stack
) -> None:
    name = stack.name
    stack.batch([Put(path, 1) for path in ("a", "f/1", "f/2/3", "g")])
    failed = openstack.refused("fact", "delete", name, "missing", "a")
    assert failed.splitlines()[-1] == "1 of 2 facts were not deleted."
    assert "Failed to delete missing: There is no fact" in failed
    openstack.ok("fact", "delete", name, "f", "--recursive")
    assert [fact.path for fact in stack.snapshot().facts] == ["g"]
    assert "single fact" in openstack.refused(
        "fact", "delete", name, "g", "h", "--if-match", "x", status=2
    )


def test_a_batch_changes_all_facts_or_none(openstack: Shell, stack: Stack, tmp_path: Path) -> None:
    name, file = stack.name, tmp_path / "batch"
    put = ("--put", "a=x=y", "--put-json", "f/1=[1]", "--if-absent", "a")
    first = openstack.json("fact", "batch", name, *put)
    assert [(row["Path"], row["Outcome"]) for row in first] == [
        ("a", "created"),
        ("f/1", "created"),
    ]
    assert "'a' already exists" in openstack.refused("fact", "batch", name, *put)
    document = {
        "guards": [{"path": "a", "etag": first[0]["ETag"]}, {"path": "b", "absent": True}],
        "operations": [{"put": {"path": "b", "value": 2, "ttl": 60}}, {"delete": {"prefix": "f"}}],
    }
    file.write_text(json.dumps(document))
    second = openstack.json("fact", "batch", name, "--file", str(file), "--delete", "missing")
    assert [row["Outcome"] for row in second] == ["absent", "created", "deleted"]
    assert {fact.path: fact.value for fact in stack.snapshot().facts} == {"a": "x=y", "b": 2}
    for broken in ('{"operation": []}', "[]", '{"operations": [{"put": {"path": "a"}}]}'):
        file.write_text(broken)
        assert "not a batch" in openstack.refused("fact", "batch", name, "--file", str(file))
    assert "needs an operation" in openstack.refused(
        "fact", "batch", name, "--if-absent", "a", status=2
    )


def test_a_batch_is_previewed_and_does_exactly_that(openstack: Shell, stack: Stack) -> None:
    stack.put("nodes/c1/s", "up")
    stack.member("c1").join("compute")
    stack.waiter("ready").arm({"facts": "nodes/*/s", "equals": "up", "count": 2})
    batch = ("fact", "batch", stack.name, "--put", "nodes/c2/s=up", "--delete", "nodes/c1/s")
    rows = openstack.json(*batch, "--dry-run")
    assert [(row["Operation"], row["Path"], row["Outcome"]) for row in rows[:-1]] == [
        ("put", "nodes/c2/s", "created"),
        ("delete", "nodes/c1/s", "deleted"),
        ("wake", "c1", "woken"),
    ]
    plan = rows[-1]["Outcome"]
    assert rows[-1]["Operation"] == "plan"
    shown = openstack.json("fact", "batch", stack.name, "--put", "nodes/c2/s=up", "--dry-run")
    (waiter,) = [row for row in shown if row["Operation"] == "waiter"]
    assert waiter["Outcome"].startswith("pending -> met: ")
    done = openstack.json(*batch, "--if-plan", plan)
    assert [row["Outcome"] for row in done] == ["created", "deleted"]
    assert "Make a new plan" in openstack.refused(*batch, "--if-plan", plan)
    both = (*batch, "--if-plan", plan, "--dry-run")
    assert "not allowed with" in openstack.refused(*both, status=2)
