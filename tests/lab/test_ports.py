"""Ports that stay the same from one run to the next."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from factstore.cmd.children.ports import LOOPBACK, free_port, is_free, remembered_port


def test_a_port_is_found_again(tmp_path: Path) -> None:
    file = tmp_path / "port"
    assert remembered_port(file) == remembered_port(file)


def test_a_port_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "port"
    port = remembered_port(file)
    with socket.create_server((LOOPBACK, port)):
        assert not is_free(port)
        other = remembered_port(file)
    assert other != port
    assert remembered_port(file) == other


@pytest.mark.parametrize("content", ["", "x", "-1", "70000", "\u0663"])
def test_a_note_that_is_no_port_counts_as_none(tmp_path: Path, content: str) -> None:
    file = tmp_path / "port"
    file.write_text(content)
    assert 0 < remembered_port(file) < 65536


def test_a_free_port_is_free() -> None:
    assert is_free(free_port())
