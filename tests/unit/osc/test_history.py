"""The table of a fact's changes."""

from __future__ import annotations

import argparse
from types import SimpleNamespace

import pytest

from factstore.client import PastChange
from factstore.osc.history import ListChanges


def test_a_value_that_was_not_kept_is_not_shown_as_a_deletion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes = [
        PastChange("e.3", "fact.delete", None, "alice", "req-1"),
        PastChange("e.2", "fact.put", None, None, None),
    ]
    stack = SimpleNamespace(history=lambda path, before: iter(changes))
    monkeypatch.setattr(ListChanges, "stack", lambda *_: stack)
    command = ListChanges(None, argparse.Namespace())
    _, rows = command.take_action(argparse.Namespace(path="a", before=None))
    deleted, unknown = rows
    assert (deleted[1], deleted[2]) == ("fact.delete", None)
    assert (unknown[1], unknown[2].human_readable()) == ("fact.put", "(not kept)")
    assert unknown[2].machine_readable() is None
