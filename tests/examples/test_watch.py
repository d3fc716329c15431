"""Every client in examples/watch prints every change once, through all faults of the service.

All of them follow one stack at the same time, and reach one service only, which is killed, starts
without its etcd, stops, and loses its history. What they are to learn is written through a second
service, so that much of it happens while they are cut off.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.examples.browser import Browser, Pages, browser
from tests.examples.followers import Follower, Page, Program, Told, canonical
from tests.faults.etcd_gateway import RawEtcd
from tests.http import Caller
from tests.service import ApiServer, check_log

EXAMPLE = Path(__file__).parents[2] / "examples" / "watch"
STACK = "/v1/stacks/watched"
PROGRAMS = ["follow.sh", "poll.sh", "follow.py", "plain.py"]
PAGES = ["eventsource", "fetch"]
SHOWN = PAGES if browser() else []
AWKWARD: list[Any] = [
    None,
    False,
    0.5,
    "",
    " two  blanks ",
    "lines\nid: 1\n\ndata: x",
    "not ends of lines: \u2028\u2029\x85\x0b\x1c",
    "quotes \" and \\ and ' and `$(false)`",
    "ä€😀",
    {"type": "stack.delete", "a": [1, [], {}], "b c": None},
    [{"facts": [], "cursor": None}],
]


class Run:
    """The services, the followers and the changes."""

    def __init__(self, directory: Path) -> None:
        self._stack = ExitStack()
        self._marks = 0
        # Revisions that were compacted before they could be reported
        self.gap: tuple[int, int] = (0, 0)
        self.etcd = EtcdServer(directory / "etcd")
        self.pages = Pages(EXAMPLE / "browser")
        self.elsewhere = ApiServer([self.etcd.endpoint], directory / "elsewhere")
        self.api = ApiServer(
            [self.etcd.endpoint],
            directory / "api",
            options={"cors": {"allowed_origin": self.pages.origin}},
        )
        url = self.api.url + STACK
        environ = {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": self.api.url}
        self.programs = [
            Program(name, argv, environ, directory / name)
            for name, argv in {
                "follow.sh": [str(EXAMPLE / "follow.sh"), url],
                "poll.sh": [str(EXAMPLE / "poll.sh"), url],
                "follow.py": [sys.executable, str(EXAMPLE / "follow.py"), "watched"],
                "plain.py": [sys.executable, str(EXAMPLE / "plain.py"), url],
            }.items()
        ]
        self.followers: dict[str, Follower] = {program.name: program for program in self.programs}
        self.followers |= {name: Page(name, self.pages) for name in SHOWN}
        self.pages.watch("/index.html", (EXAMPLE / "browser" / "index.html").read_text())
        self.pages.texts["/"] = "".join(
            f'<iframe src="/index.html?by={name}&stack={url}"></iframe>' for name in SHOWN
        )
        self._directory = directory

    def __enter__(self) -> Run:
        with self._stack:
            self._stack.callback(self.etcd.kill)
            self.etcd.start()
            self.etcd.wait_ready()
            self._stack.enter_context(self.pages)
            self._stack.callback(self.api.kill)
            self._stack.enter_context(self.elsewhere)
            self.api.start()
            self.caller = self._stack.enter_context(Caller(self.elsewhere.url))
            self.put("before/1", "first")
            self.put("before/2", ["second"])
            for program in self.programs:
                self._stack.callback(program.kill)
                program.start()
            if SHOWN:
                showing = Browser(f"{self.pages.origin}/", self._directory / "browser")
                self._stack.enter_context(showing)
            for follower in self.followers.values():
                eventually(partial(self._begun, follower), 60)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _begun(self, follower: Follower) -> bool:
        return any(" snapshot " in line for line in follower.lines())

    # Changes in the stack

    def put(self, path: str, value: Any, **more: Any) -> int:
        """Write, and return the revision."""
        answer = self.caller.put(f"{STACK}/facts/{path}", json={"value": value, **more})
        assert answer.ok, answer.text
        revision: int = answer.json()["revision"]
        return revision

    def happen(self, where: str, values: list[Any] = AWKWARD[:3]) -> int:
        """Make all kinds of changes, and return the last revision."""
        for number, value in enumerate(values):
            self.put(f"{where}/values/{number}", value)
        self.put(f"{where}/values/0", "changed")
        self.put(f"{where}/values/0", "changed")  # which changes nothing
        assert self.caller.delete(f"{STACK}/facts/{where}/values/1").ok
        self.put(f"{where}/alive", "up", ttl=5)
        batch = [{"put": {"path": f"{where}/batch/{n}", "value": n}} for n in range(3)]
        assert self.caller.post(f"{STACK}/batch", json={"operations": batch}).ok
        return self.put(f"{where}/last", where)

    def happen_at_once(self) -> None:
        """Make a change that streams deliver in several lines."""
        puts = [{"put": {"path": f"large/{n}", "value": "x" * 30_000}} for n in range(4)]
        assert self.caller.post(f"{STACK}/batch", json={"operations": puts}).ok

    def met(self) -> None:
        """Wait until all followers have received a change that is made now."""
        self._marks += 1
        self.put("mark", self._marks)
        try:
            eventually(lambda: not self._late(), 60)
        except AssertionError:
            raise AssertionError(f"not following after a minute: {self._late()}") from None

    def _late(self) -> list[str]:
        return [
            name
            for name, follower in self.followers.items()
            if follower.facts().get("mark") != self._marks
        ]

    def listed(self) -> dict[str, Any]:
        """Return the facts that the API lists."""
        page = self.caller.get(f"{STACK}/facts?limit=1000").json()
        return {fact["path"]: fact["value"] for fact in page["facts"]}

    def truth(self) -> list[Told]:
        """Return every change so far, from the service that is never disturbed."""
        page = self.caller.get(f"{STACK}/events?since={self._beginning()}").json()
        assert not page["more"]
        return [
            Told.of(event["cursor"], change)
            for event in page["events"]
            for change in event["changes"]
        ]

    def _beginning(self) -> str:
        epoch = next(iter(self.followers.values())).segments()[0][0].partition(".")[0]
        return f"{epoch}.1"

    # Faults of the service

    def killed(self) -> None:
        """Kill the master and all workers."""
        self.api.kill()
        self.happen("killed")
        self.api.start()
        self.met()

    def without_etcd(self) -> None:
        """Start the service before its etcd, so that it responds with 503 for a while."""
        closed = self._closed()
        self.api.kill()
        self.etcd.kill()
        self.api.start(wait=False)
        with Caller(self.api.url) as caller:
            eventually(lambda: _status(caller) == 503)
        if SHOWN:  # so long that the page which cannot go on by itself meets it
            eventually(lambda: self._closed() > closed)
        self.etcd.start()
        self.etcd.wait_ready()
        self.elsewhere.wait_ready()
        self.happen("without_etcd")
        self.met()

    def _closed(self) -> int:
        lines = self.followers["eventsource"].lines() if SHOWN else []
        return sum(line.startswith("closed") for line in lines)

    def worker_killed(self) -> None:
        """Kill the worker, which is replaced."""
        before = set(self.api.workers())
        self.api.kill_worker()
        self.happen("worker")
        eventually(lambda: set(self.api.workers()) - before)
        self.met()

    def restarted(self) -> None:
        """Stop the service with goodbye, and meanwhile kill and restart the programs."""
        for program in self.programs:
            program.kill()
        self.api.stop()
        self.happen("restarted")
        self.api.start()
        for program in self.programs:
            program.start()
        self.met()

    def compacted(self) -> None:
        """Compact the changes that were made while the followers were disconnected."""
        # An expiry could fall before the gap or into it.
        eventually(self._nothing_is_to_expire)
        self.met()
        self.api.kill()
        last = self.happen("compacted")
        seen = max(revision(told) for told in self.truth())
        self.gap = (revision(self._last_of_all()), seen)
        assert self.gap[0] < last <= seen
        RawEtcd(self.etcd.endpoint).compact(seen)
        self.api.start()
        self.met()

    def _nothing_is_to_expire(self) -> bool:
        return not any(path.endswith("/alive") for path in self.listed())

    def _last_of_all(self) -> Told:
        """Return the last change before the fault."""
        return next(told for told in reversed(self.truth()) if told.path == "mark")


def _status(caller: Caller) -> int:
    try:
        return caller.get(f"{STACK}/events").status_code
    except OSError:
        return 0


def revision(told: Told) -> int:
    return int(told.cursor.rpartition(".")[2])


HISTORY: list[Callable[[Run], None]] = [
    Run.killed,
    Run.without_etcd,
    Run.worker_killed,
    Run.restarted,
    Run.compacted,
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Return a run that is over, in which all followers have caught up."""
    with Run(tmp_path_factory.mktemp("watch")) as run:
        run.happen("first", AWKWARD)
        run.happen_at_once()
        run.met()
        for chapter in HISTORY:
            chapter(run)
        eventually(run._nothing_is_to_expire)
        run.met()
        yield run
        check_log(run.elsewhere)


@pytest.fixture(params=PROGRAMS + PAGES)
def follower(request: pytest.FixtureRequest, run: Run) -> Follower:
    if request.param in set(PAGES) - set(SHOWN):
        pytest.skip("there is no Chromium")
    return run.followers[request.param]


def test_a_client_has_a_complete_copy_of_the_facts(run: Run, follower: Follower) -> None:
    assert canonical(follower.facts()) == canonical(run.listed())


def test_a_client_reports_every_change_once_and_in_order(run: Run, follower: Follower) -> None:
    truth, segments = run.truth(), follower.segments()
    assert len(segments) == 2
    told: list[Told] = []
    expected: list[Told] = []
    for number, (began, changes) in enumerate(segments):
        first = int(began.rpartition(".")[2])
        last = run.gap[0] if number < len(segments) - 1 else revision(truth[-1])
        assert number == 0 or first >= run.gap[1]
        told += changes
        expected += [each for each in truth if first < revision(each) <= last]
    assert told == expected
    assert {each.type for each in told} == {"fact.put", "fact.delete", "fact.expire"}
    assert len(told) > 40


def test_a_client_ends_with_the_stack(run: Run) -> None:
    """The last test, because it deletes the stack."""
    assert run.caller.delete(STACK).ok
    for program in run.programs:
        eventually(lambda p=program: p.status() is not None)
    poll = run.followers.pop("poll.sh")
    assert isinstance(poll, Program)
    if "HTTP 404" not in poll.errors():  # else it happened between two polls
        run.followers["poll.sh"] = poll
    for name, follower in run.followers.items():
        eventually(lambda f=follower: f.lines()[-1].endswith(" stack.delete"))
        assert eventually(lambda f=follower: f.facts() == {}), name
    for program in run.programs:
        assert program.status() == 0, program.errors()
