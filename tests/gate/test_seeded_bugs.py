"""The checkers of the gate pass what is right, and find each of the bugs that are seeded."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults import checker
from tests.faults.checker import Violation
from tests.gate.faults import LONG
from tests.gate.judge import Judged, judge
from tests.gate.known_faults import KNOWN
from tests.gate.lifetimes import check_holds
from tests.gate.linearizability import Call, check_key
from tests.gate.recording import Hold, Recording
from tests.gate.run import Report
from tests.gate.seeds import SEEDS, copied
from tests.gate.simulation import KEYS, Simulation

RUNS = 6


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    """Return recordings of services that keep their promises."""
    return [Simulation(random.Random(number)).recording for number in range(RUNS)]


def test_a_service_that_keeps_its_promises_passes(recordings: list[Recording]) -> None:
    for number, recording in enumerate(recordings):
        assert judge(recording) == [], number


@pytest.mark.parametrize("name", SEEDS)
def test_each_seeded_bug_is_found(recordings: list[Recording], name: str) -> None:
    seed, kind = SEEDS[name]
    for number, recording in enumerate(recordings):
        changed = copied(recording)
        seed(changed, random.Random(number))
        found = judge(changed)
        assert kind in {violation.kind for violation in found}, number
        # What did not change need not be judged again.
        assert judge(changed, Judged(recording, recording.history())) == found, number


def test_a_copy_that_differs_from_the_store_is_found(recordings: list[Recording]) -> None:
    changed = copied(recordings[0])
    (copy,) = changed.copies
    changed.copies = [replace(copy, facts={**copy.facts, "k0": '"other"'})]
    right = Judged(recordings[0], recordings[0].history())
    assert {violation.kind for violation in judge(changed)} == {"copy"}
    assert {violation.kind for violation in judge(changed, right)} == {"copy"}


@pytest.mark.parametrize(
    ("version", "faults", "explained"),
    [
        ("3.4.23", ["leader_paused"], True),
        ("3.4.23", ["leader_killed"], False),
        ("3.4.19", ["leader_paused"], False),
        ("3.4.42", ["leader_paused"], False),
        ("3.5.30", ["leader_paused"], False),
        ("3.6.0-rc.1", ["leader_paused"], False),
    ],
)
def test_a_stale_read_is_reported_beside_the_fault_of_etcd_that_can_cause_it(
    version: str, faults: list[str], explained: bool
) -> None:
    report = Report(etcd=version, violations=[Violation("illegal", "a read")])
    report.faults.update(faults)
    assert ("etcd's 20418" in str(report)) is explained
    assert "BROKEN illegal: a read" in str(report)


def test_known_faults_name_violations_and_faults_that_exist() -> None:
    for known in KNOWN:
        assert known.causes <= set(LONG), known.text
        assert known.first < known.fixed, known.text
        assert known.first[:2] == known.fixed[:2], known.text
    sources = "".join(path.read_text() for path in Path(__file__).parent.glob("[!k]*.py"))
    sources += Path(checker.__file__).read_text()
    for kind in {kind for known in KNOWN for kind in known.kinds}:
        assert re.search(rf'"{kind}"', sources), kind


def test_a_turn_that_two_members_hold_is_found() -> None:
    first, second, third = Hold("q", "a", 0, 2), Hold("q", "b", 1, 3), Hold("q", "b", 3, 4)
    kinds = [each.kind for each in check_holds(Recording(KEYS, holds=[first, second, third]))]
    assert kinds == ["held twice"]
    assert list(check_holds(Recording(KEYS, holds=[first, third]))) == []


INFINITE = float("inf")


@pytest.mark.parametrize(
    ("calls", "legal"),
    [
        ([Call("write", 0, 1, "a"), Call("read", 2, 3, "a")], True),
        ([Call("write", 0, 1, "a"), Call("read", 2, 3, None)], False),
        ([Call("write", 0, 3, "a"), Call("read", 1, 2, None)], True),
        ([Call("write", 0, 3, "a"), Call("read", 1, 2, "a")], True),
        # Two reads must not see a write happen and be undone.
        (
            [Call("write", 0, 9, "a"), Call("read", 1, 2, "a"), Call("read", 3, 4, None)],
            False,
        ),
        # A write with an unknown outcome may happen later, or never, but only once.
        (
            [
                Call("write", 0, INFINITE, "a", met=None),
                Call("read", 1, 2, None),
                Call("read", 3, 4, "a"),
                Call("write", 5, 6, "b"),
                Call("read", 7, 8, "b"),
            ],
            True,
        ),
        (
            [
                Call("write", 0, INFINITE, "a", met=None),
                Call("read", 1, 2, "a"),
                Call("write", 3, 4, "b"),
                Call("read", 5, 6, "a"),
            ],
            False,
        ),
        # Of two that create the same, one succeeds.
        ([Call("create", 0, 2, "a"), Call("create", 1, 3, "b", met=False)], True),
        ([Call("create", 0, 2, "a"), Call("create", 1, 3, "b")], False),
        # A precondition that was not met, although it was all the time.
        (
            [Call("write", 0, 1, "a"), Call("replace", 2, 3, "b", expected="a", met=False)],
            False,
        ),
        ([Call("write", 0, 1, "a"), Call("delete", 2, 3), Call("read", 4, 5, None)], True),
        ([Call("write", 0, 1, "a"), Call("delete", 2, 3), Call("read", 4, 5, "a")], False),
        ([Call("delete", 0, 1, met=False), Call("read", 2, 3, None)], True),
    ],
)
def test_an_order_of_requests_is_found_if_there_is_one(calls: list[Call], legal: bool) -> None:
    assert (check_key(calls) is None) == legal
