"""``factstore purge`` beside a service that runs."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from factstore.cmd.processes.api import write_options
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.ports import free_port
from factstore.cmd.purge import AUTHOR
from factstore.store import codec
from factstore.store.keyspace import Keyspace
from factstore.store.types import Credentials, DeleteKeys, KeyValue, PutKey, Txn
from factstore.wsgi.auth.none import NO_PROJECT
from tests.commands import COMMANDS, config_of, factstore, one_line
from tests.eventually import eventually
from tests.functional.test_streams import watch
from tests.http import Caller
from tests.patient_client import PatientClient
from tests.service import ApiServer, check_log
from tests.unit.core.factories import fact, stack

OTHER = "0ther"


class Place:
    """A root of the test's own, and etcd behind the service's back."""

    def __init__(self, endpoint: str, root: str, config: Path) -> None:
        self.keys = Keyspace(root)
        self.config = config
        self.raw = PatientClient([endpoint], Credentials())

    def plant(self, key: bytes, value: bytes = b"") -> None:
        self.raw.transact(Txn([], [PutKey(key, value)]), deadline=time.monotonic() + 60)

    def everything(self) -> list[KeyValue]:
        below = self.keys.everything
        return self.raw.get(below.start, below.end, deadline=time.monotonic() + 60).items

    def lasting(self) -> list[KeyValue]:
        """The same without the key that the service writes whenever its watch is to move."""
        return [kv for kv in self.everything() if kv.key != self.keys.sentinel]

    def naming(self, project_id: str) -> list[KeyValue]:
        """Whatever has the project's id anywhere, in key or record."""
        word = re.compile(rb"(?<![\w-])%b(?![\w-])" % project_id.encode())
        return [kv for kv in self.everything() if word.search(kv.key + b"\n" + kv.value)]

    def revoke_idle(self) -> None:
        """Revoke the leases without keys: a write that is repeated with another lease leaves one."""
        soon = time.monotonic() + 60
        for lease in filter(self.keys.is_own_lease, self.raw.leases(deadline=soon)):
            if self.raw.is_idle(lease, deadline=soon):
                self.raw.revoke(lease, deadline=soon)

    def swept(self) -> bool:
        """Return True if the workers have nothing left to delete."""
        purges = self.keys.all_purges
        return not self.raw.get(*purges, deadline=time.monotonic() + 60).items

    def purge(self, *arguments: str, project: str = NO_PROJECT, stdin: str = "") -> str:
        result = self.run(*arguments, project=project, stdin=stdin)
        assert (result.returncode, result.stderr) == (0, ""), result
        return result.stdout

    def run(
        self, *arguments: str, project: str = NO_PROJECT, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return factstore(
            *("purge", "--config-file", self.config, "--project", project, *arguments), stdin=stdin
        )


class Purging:
    """A purge that runs, whose output can be read meanwhile."""

    def __init__(
        self, place: Place, *arguments: str, project: str = NO_PROJECT, stdin: int | None = None
    ) -> None:
        argv = ["purge", "--config-file", str(place.config), "--project", project, *arguments]
        ours, theirs = os.pipe()
        with Path(os.devnull).open() as nothing:
            files = [nothing.fileno() if stdin is None else stdin, theirs, theirs]
            self._fork = COMMANDS.start(
                "factstore.cmd.main:main", argv, env=os.environ, files=files
            )
        os.close(theirs)
        self._output = os.fdopen(ours)

    def reaches(self, text: str) -> bool:
        """Read up to a line with a text; return False if the output ends before."""
        return any(text in line for line in self._output)

    def kill(self) -> None:
        self._fork.send_signal(signal.SIGKILL)

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit status and the output that was not yet read."""
        with self._output:
            rest = self._output.read()
        return self._fork.wait(100), rest


@pytest.fixture
def place(etcd: EtcdServer, tmp_path: Path) -> Iterator[Place]:
    """A root of the test's own, without a service."""
    root = f"/test/{uuid.uuid4().hex}"
    config = tmp_path / "factstore.conf"
    write_options(config, {"etcd": {"endpoints": etcd.endpoint, "root": root}})
    made = Place(etcd.endpoint, root, config)
    yield made
    made.raw.close()


@pytest.fixture(scope="module")
def served(
    etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Place, ApiServer]]:
    """A root that these tests share, and a service on it."""
    folder = tmp_path_factory.mktemp("purge")
    root = f"/test/{uuid.uuid4().hex}"
    options = {"etcd": {"root": root}}
    with ApiServer([etcd.endpoint], folder, workers=2, options=options) as server:
        made = Place(etcd.endpoint, root, config_of(folder))
        yield made, server
        made.raw.close()
        check_log(server)


@pytest.fixture
def server(served: tuple[Place, ApiServer]) -> ApiServer:
    return served[1]


@pytest.fixture
def api(server: ApiServer) -> Iterator[Caller]:
    with Caller(server.url) as caller:
        yield caller


@pytest.fixture
def full(served: tuple[Place, ApiServer], api: Caller) -> Iterator[Place]:
    """Two stacks with all that facts may be, a subscription, one deleted stack, another project."""
    place = served[0]
    for n in range(3):
        puts = [{"put": {"path": f"n/{n}/{m}", "value": m}} for m in range(100)]
        answer = api.post(
            "/v1/stacks/slurm/batch",
            json={"operations": puts},
            headers={"Idempotency-Key": uuid.uuid4().hex},
        )
        assert answer.status_code == 200
    api.put("/v1/stacks/paas/facts/t", json={"value": 1, "ttl": 600})
    api.post("/v1/subscriptions", json={"target": "zaqar:?queue_name=q"}).raise_for_status()
    api.put("/v1/stacks/gone/facts/a", 1)
    api.delete("/v1/stacks/gone")
    place.plant(place.keys.legacy(NO_PROJECT))  # earlier versions wrote it
    add_other(place)
    yield place
    below = [*place.keys.project(NO_PROJECT), *place.keys.project(OTHER)]
    operations = [DeleteKeys(*keys) for keys in below]
    place.raw.transact(Txn([], operations), deadline=time.monotonic() + 60)


def add_other(place: Place) -> None:
    place.plant(place.keys.stack(OTHER, "slurm"), codec.encode_stack(stack(stack_id="other-id")))
    place.plant(place.keys.fact(OTHER, "other-id", "a"), codec.encode_fact(fact("a")))
    place.plant(place.keys.receipt(OTHER, "r"), b'{"fingerprint": "f", "results": []}')
    place.plant(place.keys.legacy(OTHER))


def test_after_a_purge_no_key_names_the_project_and_all_other_keys_exist(full: Place) -> None:
    others = full.naming(OTHER)
    for n in range(600):
        full.plant(full.keys.receipt(NO_PROJECT, f"more-{n}"))
    full.revoke_idle()
    printed = full.purge("--yes")
    assert full.naming(NO_PROJECT) == []
    assert full.naming(OTHER) == others
    for line in (
        f"project {NO_PROJECT}:\n  stack paas: 1 fact\n  stack slurm: 300 facts\n  603 receipts",
        "  1 subscription\n",
        "  1 key of earlier versions of factstore\n",
        f"project {NO_PROJECT}: deleted stack paas\n",
        f"project {NO_PROJECT}: deleted stack slurm\n",
        f"project {NO_PROJECT}: nothing is left\n",
    ):
        assert line in printed
    assert factstore("verify", "--config-file", full.config).returncode == 0


def test_watchers_learn_the_author_of_a_purge_and_their_streams_end(
    full: Place, server: ApiServer, api: Caller
) -> None:
    with watch(api, "/v1/stacks/slurm") as stream:
        full.purge("--yes")
        change, goodbye = stream.rest()
        (told,) = change.data["changes"]
        assert (told["type"], told["by"]) == ("stack.delete", AUTHOR)
        assert re.fullmatch(r"req-[0-9a-f-]{36}", told["request_id"])
        assert goodbye.event == "goodbye"
    assert api.get("/v1/stacks/slurm").status_code == 404
    assert api.get("/v1/stacks").json()["stacks"] == []


def test_a_dry_run_an_unknown_project_and_a_missing_confirmation_change_nothing(
    full: Place,
) -> None:
    eventually(full.swept)
    before = full.lasting()
    printed = full.purge("--dry-run")
    assert "stack slurm: 300 facts" in printed
    assert "deleted" not in printed
    assert full.lasting() == before
    ours = full.naming(NO_PROJECT)
    result = full.run("--project", "0" * 32, project="unheard-of")
    assert result.returncode == 0
    assert result.stdout == (
        f"project unheard-of: it has no data\nproject {'0' * 32}: it has no data\n"
    )
    (warning,) = result.stderr.splitlines()
    assert warning.startswith("warning: unheard-of does not look like the id of a project")
    assert full.naming(NO_PROJECT) == ours
    result = full.run(stdin="yes\n")
    assert result.returncode == 1
    assert "use --yes" in result.stderr
    assert full.naming(NO_PROJECT) == ours


def test_a_dry_run_on_an_unused_etcd_writes_nothing(place: Place) -> None:
    assert place.purge("--dry-run") == f"project {NO_PROJECT}: it has no data\n"
    assert place.everything() == []


@pytest.mark.parametrize(("answer", "removed"), [("yes", True), ("y", False), ("", False)])
def test_on_a_terminal_it_asks_for_confirmation(place: Place, answer: str, removed: bool) -> None:
    add_other(place)
    ours, theirs = pty.openpty()
    asked = Purging(place, project=OTHER, stdin=theirs)
    os.write(ours, f"{answer}\n".encode())
    status, printed = asked.end()
    os.close(ours)
    os.close(theirs)
    assert "Type yes:" in printed
    assert status == (0 if removed else 1)
    assert ("nothing was deleted" in printed) != removed
    assert (place.naming(OTHER) == []) == removed


def test_several_projects_are_purged_at_once_without_a_service(place: Place) -> None:
    add_other(place)
    place.plant(place.keys.stack("p2", "s"), codec.encode_stack(stack(stack_id="s9")))
    empty = "3" * 32
    printed = place.purge(
        "--yes", "--project", "p2", "--project", empty, "--project", OTHER, project=OTHER
    )
    assert place.naming(OTHER) == place.naming("p2") == []
    assert f"project {empty}: it has no data" in printed
    assert printed.count(f"project {OTHER}:\n") == 1


def test_orphans_of_the_project_are_purged_too(place: Place) -> None:
    add_other(place)
    for n in range(3):
        place.plant(place.keys.fact(OTHER, "lost", f"a/{n}"), codec.encode_fact(fact("a")))
        place.plant(place.keys.fact("p2", "lost-too", f"a/{n}"), codec.encode_fact(fact("a")))
    place.purge("--yes", project=OTHER)
    assert place.naming(OTHER) == []
    assert len(place.naming("p2")) == 3


def test_keys_that_the_api_cannot_delete_are_left_and_reported(place: Place) -> None:
    add_other(place)
    strange = [place.keys.stack(OTHER, "newer"), place.keys.stack(OTHER, "-bad")]
    place.plant(strange[0], b'{"format": 2}')
    place.plant(strange[1], codec.encode_stack(stack(stack_id="s8")))
    result = place.run("--yes", project=OTHER)
    assert result.returncode == 1
    assert "factstore verify" in result.stdout
    assert [kv.key for kv in place.naming(OTHER)] == sorted(strange)


class Busy:
    """Somebody whose token is still good, putting a fact again and again."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with Caller(self._url) as api:
            while not self._enough.wait(0.05):
                api.put("/v1/stacks/busy/facts/a", uuid.uuid4().hex)

    def __enter__(self) -> Busy:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._enough.set()
        self._thread.join()

    def __exit__(self, *_: object) -> None:
        self.stop()


def test_a_purge_continues_while_clients_write_until_nothing_is_left(
    full: Place, server: ApiServer
) -> None:
    with Busy(server.url) as busy:
        purging = Purging(full, "--yes")
        assert purging.reaches("written to in the meantime")
        busy.stop()
        status, rest = purging.end()
    assert status == 0
    assert "nothing is left" in rest
    assert full.naming(NO_PROJECT) == []


def test_a_purge_gives_up_with_status_1_if_a_client_never_stops_writing(
    full: Place, server: ApiServer
) -> None:
    with Busy(server.url):
        result = full.run("--yes", "--patience", "1")
    assert result.returncode == 1
    assert "still being written to" in result.stdout


def test_a_killed_purge_can_be_run_again(full: Place) -> None:
    purging = Purging(full, "--yes")
    assert purging.reaches("deleted stack")
    purging.kill()
    purging.end()
    full.purge("--yes")
    assert full.naming(NO_PROJECT) == []


def test_two_may_run_at_once(full: Place) -> None:
    ended = [each.end() for each in [Purging(full, "--yes") for _ in range(2)]]
    assert [status for status, _ in ended] == [0, 0], ended
    assert full.naming(NO_PROJECT) == []


def test_an_unreachable_etcd_results_in_a_one_line_error(tmp_path: Path) -> None:
    config = tmp_path / "conf"
    endpoint = f"http://127.0.0.1:{free_port()}"
    etcd = {"endpoints": endpoint, "username": "u-s-e-r", "password": "hunter2"}
    write_options(config, {"etcd": etcd})
    line = one_line(factstore("purge", "--config-file", config, "--project", "p", "--yes"), 1)
    assert line == (f"factstore purge: The store cannot be reached: {endpoint}: connection refused")


@pytest.mark.parametrize(
    "arguments",
    [(), ("--project", "a/b"), ("--project", ""), ("--project", "p", "--patience", "x")],
)
def test_senseless_options_are_usage_errors(arguments: tuple[str, ...]) -> None:
    assert factstore("purge", *arguments).returncode == 2
