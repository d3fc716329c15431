"""Entry points are read once while gevent patches the standard library."""

from __future__ import annotations

import re
import subprocess
import sys
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


BEFORE = """\
import sys
import factstore.wsgi.server.gunicorn, factstore.wsgi.server.master, factstore.wsgi.server.worker
print(*sys.modules)
"""
# They keep what gevent replaces: locals of threads, locks, sleep, or sockets.
PATCHED_FIRST = re.compile(
    r"(flask|grpc|keystonemiddleware|oslo_context|requests|urllib3|factstore\.(api|core\.services|store|watch))\b"
)


def test_what_a_worker_imports_before_it_is_patched_keeps_nothing_that_is_patched() -> None:
    argv = [sys.executable, "-W", "error", "-c", BEFORE]
    imported = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in imported if PATCHED_FIRST.match(name)] == []
