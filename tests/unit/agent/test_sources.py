"""facts.d, the built-in facts, and the facts given by commands."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from factstore.agent.config.settings import FactsOptions
from factstore.agent.publish.command_facts import CommandFacts
from factstore.agent.publish.sources import SOURCE_BYTES, CollectedFacts, FactCollector
from factstore.agent.system import host_facts
from factstore.agent.system.cloud_init import cloud
from factstore.agent.system.host_facts import NAMES, HostFacts
from tests.unit.agent.factories import REAL, program, state, write

NOBODY = 65534


def collector(directory: Path, lines: list[str] | None = None) -> FactCollector:
    facts = FactsOptions(directory=directory / "facts.d", builtin=(), timeout=20.0)
    log = (lines if lines is not None else []).append
    return FactCollector(facts, REAL, log)


def collected(directory: Path) -> CollectedFacts:
    return collector(directory).collect()


def test_files_and_programs_provide_facts_by_path(tmp_path: Path) -> None:
    facts = tmp_path / "facts.d"
    write(facts / "a.json", '{"services/slurmd": "started", "cpus": 4}')
    write(facts / "b.yaml", "disks: [sda, sdb]\nempty: null\n")
    program(facts / "c", """echo '{"load": {"one": 0.5}}'""")
    program(facts / "d.sh", "echo role=web; echo; echo 'motto = a = b '")
    found = collected(tmp_path)
    assert found.facts == {
        "services/slurmd": "started",
        "cpus": 4,
        "disks": ["sda", "sdb"],
        "empty": None,
        "load": {"one": 0.5},
        "role": "web",
        "motto": "a = b",
    }
    assert found.problems == {}
    assert found.source_of["role"] == "d.sh"


def test_a_missing_directory_provides_no_facts(tmp_path: Path) -> None:
    assert collected(tmp_path) == CollectedFacts()


def test_later_files_win_and_commands_win_over_files(tmp_path: Path) -> None:
    write(tmp_path / "facts.d" / "a.json", '{"x": 1, "y": 1, "z": 1}')
    write(tmp_path / "facts.d" / "b.json", '{"y": 2, "z": 2}')
    found = collected(tmp_path).with_source("put", {"z": 3})
    assert found.facts == {"x": 1, "y": 2, "z": 3}
    assert found.source_of == {"x": "a.json", "y": "b.json", "z": "put"}


def test_leftovers_of_editors_and_packages_are_skipped(tmp_path: Path) -> None:
    for name in (".a.json.swp", "a.json~", "a.json.bak", "a.json.dpkg-old", "x.ucf-dist", "a.old"):
        write(tmp_path / "facts.d" / name, '{"x": 1}')
    (tmp_path / "facts.d" / "sub.json").mkdir()
    assert collected(tmp_path) == CollectedFacts()


def test_only_line_feeds_end_the_lines_of_a_program(tmp_path: Path) -> None:
    values = ("one\u2028two", "one\x85two", "one\ftwo", "one\rtwo")
    lines = "".join(f"a{number}={value}\r\n" for number, value in enumerate(values))
    write(tmp_path / "lines", lines)
    program(tmp_path / "facts.d" / "p", f"cat {tmp_path}/lines")
    assert collected(tmp_path).facts == {f"a{number}": text for number, text in enumerate(values)}


def test_a_file_that_is_passed_over_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("30-c++.json", "50 e.json", "\u00e9.json"):
        write(tmp_path / "facts.d" / name, '{"x": 1}')
    (tmp_path / "facts.d" / "lost.json").symlink_to("nowhere")
    facts = collector(tmp_path)
    assert [facts.collect().facts for _ in range(2)] == [{}, {}]
    assert len(caplog.messages) == 4
    assert f"ignoring {tmp_path}/facts.d/50 e.json, which has a name with" in caplog.text


_MARK = "begins with a byte order mark: save it as UTF-8 without one"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("x.json", "{", "is not valid JSON: line 1, column 2"),
        ("x.json", "[1]", "does not contain a mapping from paths to values"),
        ("x.json", '{"a": NaN}', "contains a value at a that JSON cannot represent"),
        ("x.json", '{"": 1}', "contains '', which is not a path"),
        ("x.json", "[" * 100_000, "is not valid JSON: it cannot be parsed"),
        ("x.yaml", "a: [", "is not valid YAML: line 1"),
        ("x.yaml", "a: 2026-01-01\n", "contains a value at a that JSON cannot represent"),
        ("x.yaml", "1: one\n", "contains 1, which is not a path"),
        ("x.yaml", "a: !!python/object/apply:os.system [id]\n", "is not valid YAML: line 1"),
        ("x.json", '\ufeff{"a": 1}', _MARK),
        ("x.yaml", "\ufeffa: 1", _MARK),
        ("x.txt", "a=b", "is neither executable nor named *.json, *.yaml or *.yml"),
    ],
)
def test_an_invalid_file_is_reported_and_the_others_are_read(
    tmp_path: Path, name: str, content: str, problem: str
) -> None:
    write(tmp_path / "facts.d" / "good.json", '{"x": 1}')
    write(tmp_path / "facts.d" / name, content)
    found = collected(tmp_path)
    assert found.facts == {"x": 1}
    assert found.problems == {name: problem}


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("exit 1", "exited with status 1"),
        ("echo nonsense", "printed neither JSON nor path=value on line 1"),
        ("echo '{\"a\": '", "is not valid JSON: line 2, column 1"),
        (r"printf '\377=1'", "is not UTF-8"),
        (r"printf '\357\273\277a=1'", _MARK),
        ("yes a=1", f"printed more than {SOURCE_BYTES} bytes"),
    ],
)
def test_a_failed_program_is_reported_and_the_others_are_read(
    tmp_path: Path, script: str, problem: str
) -> None:
    write(tmp_path / "facts.d" / "good.json", '{"x": 1}')
    program(tmp_path / "facts.d" / "bad", script)
    found = collected(tmp_path)
    assert (found.facts, found.problems) == ({"x": 1}, {"bad": problem})


def test_the_last_facts_of_a_failed_source_are_kept(tmp_path: Path) -> None:
    file = write(tmp_path / "facts.d" / "a.json", '{"x": 1}')
    collecting = collector(tmp_path)
    collecting.collect()
    file.write_text("{")
    broken = collecting.collect()
    assert broken.facts == {"x": 1}
    assert not broken.is_withdrawn("before", "a.json")
    file.write_text('{"y": 2}')
    assert collecting.collect().facts == {"y": 2}
    file.unlink()
    gone = collecting.collect()
    assert gone.facts == {}
    assert gone.is_withdrawn("y", "a.json")


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Let root, who reads everything, be another user inside a ``with`` block."""
    user = os.geteuid()
    os.seteuid(NOBODY if user == 0 else user)
    try:
        yield
    finally:
        os.seteuid(user)


def test_an_unreadable_directory_withdraws_no_facts(tmp_path: Path) -> None:
    write(tmp_path / "facts.d" / "a.json", '{"x": 1}')
    (tmp_path / "facts.d").chmod(0)
    with unprivileged():
        found = collected(tmp_path)
    assert "Permission denied" in found.problems["facts.d"]
    assert not found.is_withdrawn("x", "a.json")


def test_a_file_in_place_of_the_directory_withdraws_no_facts(tmp_path: Path) -> None:
    write(tmp_path / "facts.d", "no directory")
    found = collected(tmp_path)
    assert found.problems == {"facts.d": "cannot be read: Not a directory"}
    assert not found.is_withdrawn("x", "a.json")


def test_stderr_of_a_program_is_logged_with_its_name(tmp_path: Path) -> None:
    lines: list[str] = []
    program(tmp_path / "facts.d" / "a", "echo no disk >&2; echo x=1")
    assert collector(tmp_path, lines=lines).collect().facts == {"x": "1"}
    assert lines == ["a: no disk"]


def test_built_in_facts_describe_this_machine() -> None:
    found = HostFacts().collect(NAMES)
    assert found["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert found["hostname"] == os.uname().nodename
    for addresses in found.get("addresses", {}).values():
        for address in map(ipaddress.ip_address, addresses):
            assert not address.is_loopback
            assert not address.is_link_local


def test_facts_that_cannot_be_determined_are_omitted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> str:
        raise OSError("no such file")

    monkeypatch.setitem(host_facts.BUILTIN, "os", fails)  # type: ignore[arg-type]
    monkeypatch.setattr(host_facts, "Network", fails)
    assert HostFacts().collect(["os", "ip", "hostname"]) == {"hostname": os.uname().nodename}


def test_facts_of_the_cloud_are_those_that_everybody_may_read(tmp_path: Path) -> None:
    hidden = "redacted for non-root user"
    document = {
        "v1": {
            "cloud_name": "openstack",
            "region": None,
            "availability_zone": "az1",
            "instance_id": "2ba26dc6-a12d-4889-8f25-794ea5bf4453",
        },
        "ds": {"ec2_metadata": {"instance-type": "m1.small"}, "user_data": hidden},
        "merged_cfg": hidden,
    }
    file = tmp_path / "instance-data.json"
    file.write_text(json.dumps(document))
    assert cloud(file) == {
        "name": "openstack",
        "zone": "az1",
        "instance_id": "2ba26dc6-a12d-4889-8f25-794ea5bf4453",
        "flavor": "m1.small",
    }
    document["v1"] = {"region": hidden, "availability_zone": ["az1"], "cloud_name": "a\nb"}
    document["ds"] = {"meta_data": {"imds": {"compute": {"vmSize": "Standard_B1s"}}}}
    file.write_text(json.dumps(document))
    assert cloud(file) == {"flavor": "Standard_B1s"}
    for text in ("", "{", "[]", '{"v1": [], "ds": 1}'):
        file.write_text(text)
        with contextlib.suppress(OSError):
            assert cloud(file) == {}


def test_command_facts_are_stored_until_they_are_deleted_or_the_instance_boots(
    tmp_path: Path,
) -> None:
    boots = ["boot-1"]
    command_facts = CommandFacts(state(tmp_path), lambda: boots[0])
    command_facts.put("services/slurmd", "started")
    command_facts.put("x", None)
    command_facts.delete("x")
    command_facts.delete("never")
    command_facts.request_state("ready")
    command_facts.put("slurm.conf", "5e11", result=True)
    again = CommandFacts(state(tmp_path), lambda: boots[0])
    assert (again.facts, again.requested_state) == ({"services/slurmd": "started"}, "ready")
    assert again.results == {"slurm.conf": "5e11"}
    boots[0] = "boot-2"
    assert (again.facts, again.results, again.requested_state) == ({}, {}, None)
    again.put("y", 1)
    assert again.facts == {"y": 1}
