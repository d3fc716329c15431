"""Writes of control loops are decided on a state, and made in no other store than that of the state."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from factstore.core.services import flapping_watch, lease_monitor, stuck_watch, waiter_controller

MODULES = (flapping_watch, lease_monitor, stuck_watch, waiter_controller)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_write_of_a_control_loop_states_the_epoch_of_its_decision(module: object) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text())  # type: ignore[attr-defined]
    calls = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "self._transactor.run"
    ]
    assert calls
    assert [call for call in calls if "epoch" not in call] == []
