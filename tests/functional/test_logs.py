"""The log of a real service that serves many requests at a time on one thread."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.functional.test_streams import etag, watch
from tests.grants import issue
from tests.http import REQUEST_ID, Caller, refused
from tests.raw_http import exchange, request_bytes
from tests.service import ApiServer, check_log

GLOBAL = "req-01234567-0123-0123-0123-0123456789ab"
LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \d+ (?P<level>[A-Z]+) (?P<logger>[\w.]+) "
    r"\[(?:-|(?P<global>\S+) (?P<id>req-\S+) (?P<user>\S+) (?P<project>\S+) - - - -)\] (?P<said>.*)"
)


@pytest.fixture(scope="module")
def service(etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A service that logs each request, and all else that it can."""
    options = {"DEFAULT": {"debug": "true"}, "api": {"access_log": "true"}}
    with ApiServer([etcd.endpoint], tmp_path_factory.mktemp("api"), options=options) as server:
        yield server
        check_log(server)


def lines(server: ApiServer) -> list[re.Match[str]]:
    """Return the lines of oslo.log, and check their form."""
    told = []
    for line in server.log_path.read_text().splitlines():
        if line.startswith("["):  # gunicorn's own
            continue
        match = LINE.fullmatch(line)
        assert match is not None, line
        told.append(match)
    return told


def test_requests_that_are_served_at_once_on_kept_connections_do_not_mix_their_ids(
    service: ApiServer, stack: str
) -> None:
    made: dict[str, str] = {}

    def ask(number: int) -> None:
        with Caller(service.url) as api:
            for turn in range(10):
                path = f"{stack}/facts/f{number}-{turn}"
                answer = api.get(f"{path}?wait={turn // 9}")
                made[answer.headers[REQUEST_ID]] = f"GET {path} 404"

    with Caller(service.url) as api:
        etag(api, f"{stack}/facts/a", 1)
        with watch(api, stack) as stream:
            streams = stream.answer.headers[REQUEST_ID]
            askers = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
            for asker in askers:
                asker.start()
            for asker in askers:
                asker.join()
            assert stream.answer.status == HTTPStatus.OK
            api.delete(stack)  # ends the stream
            stream.rest()
    made[streams] = f"GET {stack}/events 200"
    eventually(lambda: streams in service.log_path.read_text())
    told = {
        line["id"]: line["said"].rpartition(" ")[0].rpartition(" ")[0] for line in lines(service)
    }
    assert len(made) == 81
    for request_id, said in made.items():
        assert told[request_id] == said


def test_the_log_names_an_enrolled_member_and_no_secret(service: ApiServer, stack: str) -> None:
    with Caller(service.url) as owner:
        group = issue(owner, stack, None, group="compute")
        with group.caller(service.url) as instance:
            held = issue(instance, stack)
            refused(instance.post(f"{stack}/grants", json={"group": "x"}), "403 forbidden")
        with held.caller(service.url) as enrolled:
            last = enrolled.get(stack).headers[REQUEST_ID]
    eventually(lambda: last in service.log_path.read_text())
    users = {line["user"] for line in lines(service)}
    assert {f"grant:{group.id}", f"grant:{held.id}"} <= users
    check_log(service, group.secret, held.secret)


def test_a_line_about_the_start_or_outside_a_request_has_no_request_id(
    private_etcd: EtcdServer, tmp_path: Path, stack: str
) -> None:
    with (
        ApiServer(
            [private_etcd.endpoint],
            tmp_path / "api",
            options={"DEFAULT": {"debug": "true"}, "etcd": {"timeout": "3.0"}},
        ) as server,
        Caller(server.url, {REQUEST_ID: GLOBAL}) as api,
    ):
        (ready,) = (line for line in lines(server) if line["logger"] == "factstore.wsgi.api")
        assert (ready["level"], ready["id"]) == ("INFO", None)
        assert ready["said"].endswith(
            f"auth_strategy is none, and the facts are in etcd at {private_etcd.endpoint}"
        )
        api.put(f"{stack}/facts/a", 1)
        with watch(api, stack):  # its context lives on, and is its own greenlet's alone
            private_etcd.kill()
            answer = api.get(stack)
            assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
            eventually(lambda: "the watch was interrupted" in server.log_path.read_text())
        (refusal,) = (line for line in lines(server) if line["id"] == answer.headers[REQUEST_ID])
        assert refusal["said"].startswith("store_unavailable")
        assert (refusal["level"], refusal["global"]) == ("WARNING", GLOBAL)
        assert (refusal["user"], refusal["project"]) == ("anybody", "none")
        pump = [line for line in lines(server) if line["logger"] == "factstore.watch.pump"]
        assert pump
        assert {line["id"] for line in pump} == {None}


def test_an_outage_of_etcd_fills_no_log(
    private_etcd: EtcdServer, tmp_path: Path, stack: str
) -> None:
    with (
        ApiServer(
            [private_etcd.endpoint], tmp_path / "api", options={"etcd": {"timeout": "3.0"}}
        ) as server,
        Caller(server.url) as api,
    ):
        api.put(f"{stack}/facts/a", 1).raise_for_status()
        before = len(lines(server))
        private_etcd.kill()
        watched = [0]

        def has_tried_often() -> bool:
            watched[0] += api.get(f"{stack}/facts/a").status_code == HTTPStatus.SERVICE_UNAVAILABLE
            return watched[0] > 20

        eventually(has_tried_often)
        private_etcd.restart()
        eventually(lambda: api.put(f"{stack}/facts/a", 2).ok)
        eventually(lambda: "the watch continues" in server.log_path.read_text())
        said = [line["said"] for line in lines(server)[before:] if line["level"] == "INFO"]
        for start in ("no etcd endpoint answers", "the watch was interrupted"):
            assert len([text for text in said if text.startswith(start)]) == 1, said
        assert said.count("etcd answers again") == said.count("the watch continues") == 1


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/v1/stacks/a%0d%0a2026-01-01%20INFO%20forged", ()),
        ("/v1/stacks/a%1b%5b2J%c2%85%e2%80%a8", ()),
        ("/v1/stacks/\x1b[2J", ()),
        ("/v1/stacks/a\rforged", ()),
        ("/v1/stacks/\x9b31m\x85", ()),
        ("/v1/stacks", (f"{REQUEST_ID}: {GLOBAL}\rforged",)),
        ("/v1/stacks", (f"{REQUEST_ID}: {GLOBAL}\x1b[2J",)),
        ("/v1/stacks", ("User-Agent: a\x1b[2J\x85\x9b",)),
        ("/v1/stacks", ("User-Agent: a\rforged",)),
        ("/v1/stacks", ("Forged\x1b[2J: a",)),
    ],
)
def test_nothing_that_a_caller_sends_makes_a_second_line_or_moves_a_cursor(
    service: ApiServer, target: str, headers: tuple[str, ...]
) -> None:
    before = len(service.log_path.read_text())
    exchange(service.url, request_bytes("GET", target, *headers))
    with Caller(service.url) as api:
        last = api.get("/v1/stacks").headers[REQUEST_ID]
    eventually(lambda: last in service.log_path.read_text())
    told = service.log_path.read_bytes().decode()[before:]
    assert told.replace("\n", "").isprintable()
    about = []
    for line in told.splitlines():
        match = LINE.fullmatch(line)
        assert match or re.match(r"\[[\d :+-]+\] \[\d+\] \[[A-Z]+\] ", line), line
        if match and match["id"] is None:  # of the service itself, which may speak at any time
            assert "forged" not in line
        else:
            about.append(line)
    assert 1 <= len(about) <= 3
