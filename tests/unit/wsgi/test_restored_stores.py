"""Each answer names one store, even if another backup is restored while the answer is being made."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from factstore.api import versions
from tests.cases import cases
from tests.contract.world import MemoryWorld
from tests.sealing_keys import make_keys, sealing_with
from tests.unit.wsgi.restored_requests import CONFIRMS, FAST_READS, FAST_WRITES, READS, WRITES, S
from tests.unit.wsgi.restored_service import (
    Answer,
    Service,
    prepared,
    restored_after_reading,
    restored_after_writing,
)

POSITION = re.compile(r"(?<![0-9a-f-])([0-9a-f]{16})\.([0-9]+)(?![0-9A-Za-z_])")
"""A cursor, or the part of an entity tag that names a store."""
UNRELATED = re.compile(r'"delivery":{[^}]*}|(?<=\.)[0-9a-f]{16}[0-9a-f.]*(?=")')
"""The cursor at which a subscription was created, and the digests in the plan of a batch."""
NAMES = {"ETag", "Factstore-Cursor", "cursor", "etag", "next", "since", "until", "applied"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    world = MemoryWorld()
    yield Service(world.worker(encryption=sealing_with(make_keys(tmp_path / "keys"))))
    world.close()


def positions(answer: Answer) -> set[tuple[str, int]]:
    """Return the epochs and revisions of the cursors and entity tags in an answer."""
    found = POSITION.findall(UNRELATED.sub("", f"{answer[1]}\n{answer[2]}"))
    return {(epoch, int(revision)) for epoch, revision in found}


READERS = [
    *((Service.ask, "GET", path) for path in READS),
    (Service.ask, "HEAD", f"{S}/facts/a/b"),
    (Service.ask, "HEAD", f"{S}/context"),
    *((Service.ask_fast, "GET", path) for path in FAST_READS),
]


@pytest.mark.parametrize("reads", [1, 2, 3])
def test_a_read_shows_one_store_if_a_backup_is_restored_meanwhile(
    service: Service, reads: int
) -> None:
    with cases() as case:
        for ask, method, path in READERS:
            with case(f"{ask.__name__} {method} {path}"):
                request = prepared(service, (method, path, None))
                service.left = False
                before = ask(service, *request)
                assert (before[0], service.left) == (200, False), before
                assert {epoch for epoch, _ in positions(before)} <= {service.epoch}
                with restored_after_reading(service, reads) as restoration:
                    during = ask(service, *request)
                assert restoration.done or reads > 1
                if not restoration.done:  # it reads the state less often
                    service.restore()
                if during[0] in {410, 503}:  # the client lists again, or repeats the request
                    assert positions(during) == set()
                else:
                    after = [again(service, *request) for again in {ask, Service.ask}]
                    assert during in (before, *after), (before, during)


def test_a_context_of_a_restored_store_is_not_that_of_the_same_revision_before(
    service: Service,
) -> None:
    for number in range(3):
        service.move_on()
        request = prepared(service, ("GET", f"{S}/context?since={{former}}", None))
        found = [service.ask("GET", f"{S}/context"), service.ask(*request)]
        facts = [json.loads(text)["facts"] for _, _, text in found]
        assert facts[0]["here"] == facts[1]["here"] == service.value, number
        service.restore()


WRITERS = [
    *((Service.ask, request) for request in WRITES),
    *(
        (Service.ask_fast, each)
        for each in WRITES
        if each[1] in FAST_WRITES and each[0] != "DELETE"
    ),
]


def test_a_write_names_the_store_that_it_changed_if_a_backup_is_restored_afterwards(
    service: Service,
) -> None:
    with cases() as case:
        for ask, each in WRITERS:
            with case(f"{ask.__name__} {each[0]} {each[1]} {each[2]}"):
                request, epoch = prepared(service, each), service.epoch
                with restored_after_writing(service) as revisions:
                    answer = ask(service, *request)
                assert service.epoch != epoch, answer
                assert answer[0] < 300, answer
                assert {known for known, _ in positions(answer)} <= {epoch}, answer
                assert all(at <= revisions[0] for _, at in positions(answer)), answer
                if "Factstore-Cursor" in answer[1]:
                    assert f"Factstore-Cursor: {epoch}.{revisions[0]}" in answer[1]


def test_a_write_names_one_store_if_a_backup_is_restored_after_its_plan(service: Service) -> None:
    confirms = [(Service.ask, request) for request in CONFIRMS]
    fast = [(Service.ask_fast, each) for each in CONFIRMS if each[1] in FAST_WRITES]
    with cases() as case:
        for ask, each in (*WRITERS, *confirms, *fast):
            with case(f"{ask.__name__} {each[0]} {each[1]} {each[2]}"):
                request, epoch = prepared(service, each), service.epoch
                with restored_after_reading(service) as restoration:
                    answer = ask(service, *request)
                assert restoration.done
                assert answer[0] < 300 or (each[1].endswith("replay") and answer[0] == 410), answer
                named = {known for known, _ in positions(answer)}
                assert named <= {service.epoch} or named <= {epoch}, answer


def test_every_route_with_a_cursor_or_an_entity_tag_is_tried(service: Service) -> None:
    app = service.client.application
    rules = app.url_map.bind("")
    asked = [
        *((method, path) for _, method, path in READERS),
        *((method, path) for method, path, _ in (*WRITES, *CONFIRMS)),
    ]
    tried = set()
    for method, path in asked:
        rule, _ = rules.match(path.partition("?")[0], method, return_rule=True)
        tried.add((method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(rule.rule))))
    assert list(documented(json.loads(app.extensions[versions.DOCUMENT]("")))) != []
    missing = set(documented(json.loads(app.extensions[versions.DOCUMENT]("")))) - tried
    assert missing == {("GET", "/v1/agent")}, "of a file"


def documented(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the routes whose answers have a cursor or an entity tag."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method in {"get", "head", "put", "post", "patch", "delete"}:
                good = [found for code, found in operation["responses"].items() if code[0] in "23"]
                if NAMES & set(names_in(good, document)):
                    yield method.upper(), path


def names_in(found: Any, document: dict[str, Any], seen: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the names of headers and properties in a part of the document."""
    if isinstance(found, list):
        for each in found:
            yield from names_in(each, document, seen)
    elif isinstance(found, dict):
        reference = found.get("$ref")
        if isinstance(reference, str) and reference not in seen:
            target: Any = document
            for name in reference.removeprefix("#/").split("/"):
                target = target[name]
            yield from names_in(target, document, (*seen, reference))
        for name, value in found.items():
            if name in {"headers", "properties"} and isinstance(value, dict):
                yield from value
            if name not in {"example", "examples"}:
                yield from names_in(value, document, seen)
