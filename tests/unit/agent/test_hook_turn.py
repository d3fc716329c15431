"""The turn in which hooks run, step by step, with a service that answers from a script."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from factstore.agent.agent import Agent
from factstore.agent.apply.errors import ApplyError
from factstore.client import errors
from tests.unit.agent.factories import agent, context, member, program, settings
from tests.unit.client.stub import FakeClock, Service, answer, refusal

ONE = "[react]\nmax_parallel = 1\n"
TAG = {"ETag": '"tag9"', "Factstore-Cursor": "e.9"}


def turn(state: str = "holding", revision: int = 7) -> dict[str, object]:
    numbers = {"position": 1, "max_parallel": 1, "rank": None, "revision": revision}
    return {"queue": "node", "member": "c1", "state": state, "created_at": "x", **numbers}


@pytest.fixture
def joined(tmp_path: Path, service: Service, clock: FakeClock) -> Agent:
    """An agent with a hook that needs a turn."""
    program(tmp_path / "hooks.d" / "10-run", f"echo run >> {tmp_path}/runs\n")
    made = agent(settings(tmp_path, ONE), service)
    service.will(answer(201, member()))
    made.membership.join()
    return made


def calls(service: Service) -> list[str]:
    return [f"{call.method} {call.path.partition('?')[0]}" for call in service.calls[1:]]


TURN = "/v1/stacks/slurm/turns/node/c1"


def test_hooks_run_in_a_turn_that_is_confirmed_and_given_back(
    joined: Agent, service: Service, tmp_path: Path
) -> None:
    assert joined.turn is not None
    assert not joined.apply(context({"a": 1}))
    assert joined.turn.waiting
    assert not (tmp_path / "runs").exists()
    service.will(answer(201, turn("waiting")), answer(200, turn()))
    assert joined.turn.poll(0) is not None
    assert joined.turn.poll(0) is None
    assert joined.turn.held
    newest = context({"a": 2}, 9).document
    service.will(
        answer(200, newest, headers=TAG), answer(200, turn(), headers={"ETag": '"t"'}), answer(204)
    )
    assert joined.apply(context({"a": 1}))
    assert joined.reconciler.applied_cursor == "e.9"
    assert (tmp_path / "runs").read_text() == "run\n"
    assert (joined.turn.held, joined.turn.waiting) == (False, False)
    assert calls(service)[0] == calls(service)[1] == f"PUT {TURN}"
    assert calls(service)[-2:] == [f"GET {TURN}", f"DELETE {TURN}"]


@pytest.mark.parametrize(
    "found",
    [
        refusal(404, "not_found"),
        answer(200, turn("waiting"), headers={"ETag": '"t"'}),
        answer(200, turn(revision=8), headers={"ETag": '"t"'}),
    ],
    ids=["ended", "waiting", "another one"],
)
def test_no_hook_starts_if_the_turn_is_not_held_any_more(
    joined: Agent, service: Service, tmp_path: Path, found: object
) -> None:
    assert joined.turn is not None
    assert not joined.apply(context({"a": 1}))
    service.will(answer(201, turn()))
    assert joined.turn.poll(0) is None
    service.will(answer(200, context({"a": 1}).document, headers=TAG), found, answer(204))  # type: ignore[arg-type]
    with pytest.raises(ApplyError, match="turn was lost"):
        joined.apply(context({"a": 1}))
    assert not (tmp_path / "runs").exists()
    assert not joined.turn.held


def test_a_context_that_needs_no_hooks_ends_the_wait(
    joined: Agent, service: Service, tmp_path: Path
) -> None:
    assert joined.turn is not None
    assert not joined.apply(context({"a": 1}))
    service.will(answer(201, turn("waiting")))
    joined.turn.poll(0)
    (tmp_path / "hooks.d" / "10-run").unlink()
    service.will(answer(204))
    assert joined.apply(context({"a": 1}))
    assert calls(service) == [f"PUT {TURN}", f"DELETE {TURN}"]
    assert joined.turn.poll(0) is None  # nothing is requested


def test_a_turn_that_is_held_after_the_wait_has_ended_is_given_back(
    joined: Agent, service: Service
) -> None:
    """The context changes back while the request for the turn is under way."""
    assert joined.turn is not None
    asked, ended = threading.Event(), threading.Event()

    def hold(handler: BaseHTTPRequestHandler) -> None:
        asked.set()
        assert ended.wait(60)
        answer(201, turn())(handler)

    joined.turn.request()
    service.will(hold, answer(204))
    polling = threading.Thread(target=joined.turn.poll, args=[1])
    polling.start()
    assert asked.wait(60)
    joined.turn.end()
    assert calls(service) == [f"PUT {TURN}"]
    ended.set()
    polling.join(60)
    assert calls(service) == [f"PUT {TURN}", f"DELETE {TURN}"]
    assert not joined.turn.held


def test_a_lost_member_takes_no_turn(joined: Agent, service: Service) -> None:
    assert joined.turn is not None
    joined.turn.request()
    service.will(refusal(409, "generation_stale"))
    with pytest.raises(errors.Conflict):
        joined.turn.poll(0)
    joined.membership.joined = False
    assert joined.turn.poll(0) == 1.0
    assert calls(service) == [f"PUT {TURN}"]
