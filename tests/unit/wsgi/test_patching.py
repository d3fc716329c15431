"""Entry points are read once while gevent patches the standard library."""

from __future__ import annotations

from importlib import metadata

import pytest

from factstore.wsgi.server.patching import entry_points_read_once


def test_entry_points_are_the_same_but_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.entry_points
    reads: list[dict[str, str]] = []

    def reading(**criteria: str) -> metadata.EntryPoints:
        reads.append(criteria)
        return real(**criteria)

    monkeypatch.setattr(metadata, "entry_points", reading)
    with entry_points_read_once():
        scripts = metadata.entry_points(group="console_scripts")
        assert {each.name for each in scripts} >= {"factstore", "factstore-agent"}
        assert set(scripts) == set(real(group="console_scripts"))
        assert not metadata.entry_points(group="nothing")
    assert reads == [{}]
    assert metadata.entry_points is reading
