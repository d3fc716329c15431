"""The read set on the service: stored before a revision is reported, and never too narrow."""

from __future__ import annotations

from pathlib import Path

import pytest

from factstore.agent.agent import Agent
from factstore.agent.config.reads import EVERYTHING, Reads
from tests.unit.agent.factories import agent, context, member, settings, write
from tests.unit.client.stub import Service, answer, refusal

CONF = "[template conf]\nsource = conf.j2\ndestination = DIR/conf\n[react]\nrun_hooks = files\n"
SIZE = Reads(frozenset({"size"}))
STORED = answer(201, {"digest": "d1"})
BEAT = answer(204)


@pytest.fixture
def joined(tmp_path: Path, service: Service) -> Agent:
    write(tmp_path / "templates" / "conf.j2", "{{ facts.size }}\n")
    made = agent(settings(tmp_path, CONF), service)
    service.will(answer(201, member()))
    made.join()
    return made


def requests(service: Service) -> list[tuple[str, str]]:
    """Return the methods and the ends of the paths of all requests but the join."""
    return [(each.method, each.path.rpartition("/")[2]) for each in service.calls[1:]]


def test_the_read_set_is_stored_before_the_revision_is_reported(
    joined: Agent, service: Service
) -> None:
    joined.apply(context({"size": 2}, 5))
    assert joined.read_set.digest == ""
    service.will(STORED, BEAT, BEAT)
    joined.send_heartbeat()
    assert requests(service) == [("PUT", "read_set"), ("POST", "heartbeat")]
    assert service.calls[1].body == {
        "facts": ["size"], "members": [], "groups": [], "generation": "1a"
    }  # fmt: skip
    assert service.calls[2].body == {"generation": "1a", "applied": "e.5"}
    assert joined.read_set.digest == "d1"
    joined.send_heartbeat()
    assert requests(service)[2:] == [("POST", "heartbeat")]


def test_a_revision_is_not_reported_while_the_read_set_cannot_be_stored(
    joined: Agent, service: Service
) -> None:
    joined.apply(context({"size": 2}, 5))
    service.will(refusal(500, "internal"), BEAT, STORED, BEAT)
    joined.send_heartbeat()
    assert service.calls[-1].body == {"generation": "1a"}
    joined.send_heartbeat()
    assert service.calls[-1].body == {"generation": "1a", "applied": "e.5"}


@pytest.mark.parametrize(
    "refused", [refusal(404, "not_found"), refusal(403, "quota_exceeded")], ids=["old", "quota"]
)
def test_a_service_that_stores_no_read_set_is_asked_once(
    joined: Agent, service: Service, refused: object
) -> None:
    joined.apply(context({"size": 2}, 5))
    service.will(refused, BEAT, BEAT)  # type: ignore[arg-type]
    for _ in range(2):
        joined.send_heartbeat()
        assert service.calls[-1].body == {"generation": "1a", "applied": "e.5"}
    assert len(requests(service)) == 3
    assert joined.read_set.digest == ""


def test_a_credential_that_allows_no_read_sets_does_not_keep_a_member_from_reporting(
    joined: Agent, service: Service
) -> None:
    restarted = agent(joined.settings, service)
    service.will(answer(200, member()))
    restarted.join()  # an earlier process could have stored a read set
    denied = refusal(403, "forbidden")
    service.will(denied)
    restarted.apply(context({"size": 2}, 5))
    service.will(denied, BEAT, BEAT)
    for _ in range(2):
        restarted.send_heartbeat()
        assert service.calls[-1].body == {"generation": "1a", "applied": "e.5"}


def test_a_wider_read_set_is_stored_before_files_change(joined: Agent, service: Service) -> None:
    joined.apply(context({"size": 2}, 5))
    service.will(STORED, BEAT)
    joined.send_heartbeat()
    file = Path(joined.settings.templates["conf"].source)
    write(file, "{{ facts.size }} {{ facts.more }}\n")
    service.will(answer(200, {"digest": "d2"}))
    joined.apply(context({"size": 3, "more": 1}, 6))
    assert service.calls[-1].body["facts"] == ["more", "size"]
    assert joined.read_set.digest == "d2"


def test_the_incarnation_of_an_earlier_process_may_have_a_read_set(
    joined: Agent, service: Service
) -> None:
    service.will(STORED, BEAT)
    joined.apply(context({"size": 2}, 5))
    joined.send_heartbeat()
    restarted = agent(joined.settings, service)
    service.will(answer(200, member()), answer(204))
    restarted.join()
    restarted.read_set.replace(EVERYTHING)
    assert restarted.read_set.upload()
    assert requests(service)[-1] == ("DELETE", "read_set")
    assert restarted.read_set.upload()
    restarted.read_set.replace(SIZE)
    service.will(STORED)
    assert restarted.read_set.upload()
    assert restarted.read_set.digest == "d1"
