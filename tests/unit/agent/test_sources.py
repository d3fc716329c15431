"""facts.d, the built-in facts, and what was told by command."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

import pytest

from factstore.agent.config.settings import Facts
from factstore.agent.publish.command_facts import Said
from factstore.agent.publish.sources import OUTPUT_BYTES, Collected, Collector
from factstore.agent.system import host_facts
from tests.unit.agent.factories import REAL, program, state, write


def collector(directory: Path, lines: list[str] | None = None) -> Collector:
    facts = Facts(directory=directory / "facts.d", builtin=(), timeout=20.0)
    log = (lines if lines is not None else []).append
    return Collector(facts, REAL, log)


def collected(directory: Path) -> Collected:
    return collector(directory).collect()


def test_files_and_programs_tell_facts_by_path(tmp_path: Path) -> None:
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
    assert found.sources["role"] == "d.sh"


def test_no_directory_tells_nothing(tmp_path: Path) -> None:
    assert collected(tmp_path) == Collected()


def test_a_later_file_wins_and_a_command_over_all(tmp_path: Path) -> None:
    write(tmp_path / "facts.d" / "a.json", '{"x": 1, "y": 1, "z": 1}')
    write(tmp_path / "facts.d" / "b.json", '{"y": 2, "z": 2}')
    found = collected(tmp_path).and_also("put", {"z": 3})
    assert found.facts == {"x": 1, "y": 2, "z": 3}
    assert found.sources == {"x": "a.json", "y": "b.json", "z": "put"}


def test_what_editors_and_packages_leave_is_passed_over(tmp_path: Path) -> None:
    for name in (".a.json.swp", "a.json~", "a.json.bak", "a.json.dpkg-old", "a.json.rpmsave"):
        write(tmp_path / "facts.d" / name, '{"x": 1}')
    (tmp_path / "facts.d" / "sub.json").mkdir()
    assert collected(tmp_path) == Collected()


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("x.json", "{", "is no JSON: line 1, column 2"),
        ("x.json", "[1]", "holds no mapping from paths to values"),
        ("x.json", '{"a": NaN}', "has a value at a that JSON does not know"),
        ("x.json", '{"": 1}', "has '' for a path"),
        ("x.json", "[" * 100_000, "is no JSON: it cannot be read"),
        ("x.yaml", "a: [", "is no YAML: line 1"),
        ("x.yaml", "a: 2026-01-01\n", "has a value at a that JSON does not know"),
        ("x.yaml", "1: one\n", "has 1 for a path"),
        ("x.yaml", "a: !!python/object/apply:os.system [id]\n", "is no YAML: line 1"),
        ("x.txt", "a=b", "is neither executable nor named *.json, *.yaml or *.yml"),
    ],
)
def test_a_broken_file_is_named_and_the_others_are_told(
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
        ("exit 1", "ended with status 1"),
        ("echo nonsense", "printed neither JSON nor path=value in line 1"),
        ("echo '{\"a\": '", "is no JSON: line 2, column 1"),
        (r"printf '\377=1'", "is not UTF-8"),
        ("yes a=1", f"printed more than {OUTPUT_BYTES} bytes"),
    ],
)
def test_a_broken_program_is_named_and_the_others_are_told(
    tmp_path: Path, script: str, problem: str
) -> None:
    write(tmp_path / "facts.d" / "good.json", '{"x": 1}')
    program(tmp_path / "facts.d" / "bad", script)
    found = collected(tmp_path)
    assert (found.facts, found.problems) == ({"x": 1}, {"bad": problem})


def test_a_source_that_breaks_takes_nothing_back(tmp_path: Path) -> None:
    file = write(tmp_path / "facts.d" / "a.json", '{"x": 1}')
    collecting = collector(tmp_path)
    collecting.collect()
    file.write_text("{")
    broken = collecting.collect()
    assert broken.facts == {"x": 1}
    assert not broken.vanished("before", "a.json")
    file.write_text('{"y": 2}')
    assert collecting.collect().facts == {"y": 2}
    file.unlink()
    gone = collecting.collect()
    assert gone.facts == {}
    assert gone.vanished("y", "a.json")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_directory_that_cannot_be_read_takes_nothing_back(tmp_path: Path) -> None:
    write(tmp_path / "facts.d" / "a.json", '{"x": 1}')
    (tmp_path / "facts.d").chmod(0)
    assert not collected(tmp_path).vanished("x", "a.json")


def test_a_directory_that_is_none_takes_nothing_back(tmp_path: Path) -> None:
    write(tmp_path / "facts.d", "no directory")
    found = collected(tmp_path)
    assert found.problems == {"facts.d": "cannot be read: Not a directory"}
    assert not found.vanished("x", "a.json")


def test_what_a_program_complains_of_is_logged_with_its_name(tmp_path: Path) -> None:
    lines: list[str] = []
    program(tmp_path / "facts.d" / "a", "echo no disk >&2; echo x=1")
    assert collector(tmp_path, lines=lines).collect().facts == {"x": "1"}
    assert lines == ["a: no disk"]


def test_the_built_in_facts_are_those_of_this_machine() -> None:
    found = host_facts.collect(host_facts.BUILTIN)
    assert found["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert found["hostname"] == os.uname().nodename
    for addresses in found.get("addresses", {}).values():
        for address in map(ipaddress.ip_address, addresses):
            assert not address.is_loopback
            assert not address.is_link_local
    if "ip" in found:
        assert found["ip"] in [each for all_of in found["addresses"].values() for each in all_of]


def test_what_cannot_be_found_out_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> str:
        raise OSError("no such file")

    monkeypatch.setitem(host_facts.BUILTIN, "os", fails)  # type: ignore[arg-type]
    monkeypatch.setitem(host_facts.BUILTIN, "ip", lambda: None)  # type: ignore[arg-type]
    assert host_facts.collect(["os", "ip", "hostname"]) == {"hostname": os.uname().nodename}


def test_what_was_said_is_kept_until_it_is_taken_back_or_the_instance_boots(
    tmp_path: Path,
) -> None:
    boots = ["boot-1"]
    said = Said(state(tmp_path), lambda: boots[0])
    said.put("services/slurmd", "started")
    said.put("x", None)
    said.delete("x")
    said.delete("never")
    said.want("ready")
    said.put("slurm.conf", "5e11", result=True)
    again = Said(state(tmp_path), lambda: boots[0])
    assert (again.facts(), again.wanted) == ({"services/slurmd": "started"}, "ready")
    assert again.results() == {"slurm.conf": "5e11"}
    boots[0] = "boot-2"
    assert (again.facts(), again.results(), again.wanted) == ({}, {}, None)
    again.put("y", 1)
    assert again.facts() == {"y": 1}
