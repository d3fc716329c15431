"""Measure the time of one caller for one fact, in a launch configuration and in a data bag, in turn.

``examples/heat/kludge.yaml`` keeps the fact in the metadata of a launch configuration, which only an
update of the stack changes.  ``examples/heat/databag.yaml`` keeps it in a data bag.  Neither creates
a server here, because only the fact is measured.

The conditions favour Heat: engine and API are one process without a message broker, the database is
SQLite, and the engine is the one that is faster for a small stack.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import factstore
from bench.lab import Lab
from tests.heat.lab.orchestration import Orchestration
from tests.heat.lab.server import HeatServer
from tests.heat.lab.serving import serving
from tests.heat.lab.stubs import Stubs

PAUSE = 0.01  # seconds between two checks whether a write can be read
PATIENCE = 120.0  # seconds
READS = 20  # of each kind in a round
_EXAMPLES = Path(__file__).parents[1] / "examples" / "heat"
_PLUGINS = Path(factstore.__file__).parent / "heat" / "plugins"
_WITHOUT_SERVERS = {"OS::Nova::Server": "OS::Heat::None"}
_SERVERS = {"image": "none", "flavor": "none"}


@dataclass
class Pairs:
    """Pairs of times that were measured right after each other, in milliseconds."""

    heat: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)

    def add(self, heat: float, ours: float) -> None:
        """Add a pair."""
        self.heat.append(heat)
        self.ours.append(ours)

    @property
    def ratio(self) -> float:
        return statistics.median(
            heat / ours for heat, ours in zip(self.heat, self.ours, strict=True)
        )

    @property
    def ms(self) -> float:
        """The service's time."""
        return statistics.median(self.ours)

    def __str__(self) -> str:
        ratios = [heat / ours for heat, ours in zip(self.heat, self.ours, strict=True)]
        heat, ours = statistics.median(self.heat), statistics.median(self.ours)
        return (
            f"{_short(heat)} ms in the metadata, {_short(ours)} ms in the data bag, "
            f"{_short(statistics.median(ratios))} times as long "
            f"(pairs {_short(min(ratios))} to {_short(max(ratios))})"
        )


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.1f}"


@dataclass
class Compared:
    """Times of writes and reads of both kinds.

    :ivar readable: time of a write until it can be read.
    :ivar next_one: time of a write until the next one is accepted.
    :ivar read: time of a read.
    """

    readable: Pairs = field(default_factory=Pairs)
    next_one: Pairs = field(default_factory=Pairs)
    read: Pairs = field(default_factory=Pairs)


def run(lab: Lab, rounds: int) -> Compared:
    """Write and read with both in turn.

    :param lab: a lab with a Keystone.
    :raises AssertionError: a write could not be read, or was refused.
    """
    assert lab.keystone is not None
    with tempfile.TemporaryDirectory() as state, Stubs() as stubs:
        lab.keystone.accounts.publish(lab.url)
        stubs.provision(lab.keystone.accounts)
        heat = HeatServer(Path(state), lab.keystone, plugin_dirs=[_PLUGINS])
        with serving(heat):
            session = lab.keystone.accounts.session("owner")
            return _compare(lab, Orchestration(session, heat.url), heat.url, rounds)


def _compare(lab: Lab, user: Orchestration, heat_url: str, rounds: int) -> Compared:
    old, new = _Metadata(lab, user, heat_url), _DataBag(lab, user)
    found = Compared()
    for number in range(rounds + 1):
        theirs, ours = _write(old, number), _write(new, number)
        reads = [(_timed(old.read), _timed(new.read)) for _ in range(READS)]
        if number == 0:
            continue  # warm, uncounted
        found.readable.add(theirs.readable, ours.readable)
        found.next_one.add(theirs.next_one, ours.next_one)
        for their_read, our_read in reads:
            found.read.add(their_read, our_read)
    return found


class _Way(Protocol):
    def write(self, number: int) -> None:
        """Set the fact to this number."""

    def read(self) -> object:
        """Return the fact, or None."""

    def settled(self) -> bool:
        """Return True if another write would be accepted."""


class _Metadata:
    """Facts in the metadata of a launch configuration."""

    def __init__(self, lab: Lab, user: Orchestration, heat_url: str) -> None:
        name = f"kludge-{uuid.uuid4().hex[:8]}"
        unused = ("auth_url", "heat_url", "credential_id", "credential_secret")
        stack = user.create(
            name,
            (_EXAMPLES / "kludge.yaml").read_text(),
            environment={
                "resource_registry": _WITHOUT_SERVERS,
                "parameters": {**_SERVERS, **dict.fromkeys(unused, "-")},
            },
        )
        assert lab.keystone is not None
        project = lab.keystone.accounts.project_id("owner")
        self._url = f"{heat_url}/v1/{project}/stacks/{name}/{stack}"
        self._session = lab.session()

    def write(self, number: int) -> None:
        body = {"parameters": {"told": {"number": number}}}
        self._session.patch(self._url, json=body, timeout=60).raise_for_status()

    def read(self) -> object:
        answer = self._session.get(f"{self._url}/resources/facts/metadata", timeout=60)
        # While Heat replaces the launch configuration, there may be none.
        return answer.json()["metadata"]["told"].get("number") if answer.ok else None

    def settled(self) -> bool:
        answer = self._session.get(self._url, timeout=60)
        answer.raise_for_status()
        status = answer.json()["stack"]["stack_status"]
        assert not status.endswith("_FAILED"), status
        return bool(status == "UPDATE_COMPLETE")


class _DataBag:
    """The same facts in a data bag."""

    def __init__(self, lab: Lab, user: Orchestration) -> None:
        name = f"databag-{uuid.uuid4().hex[:8]}"
        environment = {"resource_registry": _WITHOUT_SERVERS, "parameters": _SERVERS}
        template = (_EXAMPLES / "databag.yaml").read_text()
        user.create(name, template, environment=environment)
        self._url = f"{lab.url}/v1/stacks/{name}/facts/told/number"
        self._session = lab.session()

    def write(self, number: int) -> None:
        self._session.put(self._url, json={"value": number}, timeout=60).raise_for_status()

    def read(self) -> object:
        answer = self._session.get(self._url, timeout=60)
        answer.raise_for_status()
        return answer.json()["value"]

    def settled(self) -> bool:
        return True


@dataclass(frozen=True)
class _Written:
    """Times of a write, in ms."""

    readable: float
    next_one: float


def _write(way: _Way, number: int) -> _Written:
    began = time.perf_counter()
    way.write(number)
    _until(lambda: way.read() == number)
    readable = time.perf_counter()
    _until(way.settled)
    done = time.perf_counter()
    return _Written((readable - began) * 1000, (done - began) * 1000)


def _until(condition: Callable[[], bool]) -> None:
    end = time.perf_counter() + PATIENCE
    while not condition():
        assert time.perf_counter() < end, "a write cannot be read, or does not end"
        time.sleep(PAUSE)


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def shown(found: Compared) -> list[str]:
    """Return the figures as lines."""
    return [
        f"one write, until it can be read: {found.readable}",
        f"one write, until the next one is accepted: {found.next_one}",
        f"one read: {found.read}",
    ]
