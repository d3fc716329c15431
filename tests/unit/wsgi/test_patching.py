"""Plugins of gevent are searched once while it patches the standard library."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from factstore.wsgi.server.patching import plugins_read_once


def test_plugins_of_gevent_are_found_and_read_once_and_others_as_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for directory, name, version in (
        ("first", "plugin", "2"),
        ("second", "plugin", "1"),
        ("second", "other", "1"),
    ):
        made = tmp_path / directory / f"{name}-{version}.dist-info"
        made.mkdir(parents=True)
        (made / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
        group = "gevent.plugins.monkey.did_patch_all" if name == "plugin" else "others"
        (made / "entry_points.txt").write_text(f"[{group}]\nx = {name}:v{version}\n")
    monkeypatch.syspath_prepend(tmp_path / "second")
    monkeypatch.syspath_prepend(tmp_path / "first")
    real = metadata.entry_points
    reads: list[dict[str, str]] = []

    def reading(**criteria: str) -> metadata.EntryPoints:
        reads.append(criteria)
        return real(**criteria)

    monkeypatch.setattr(metadata, "entry_points", reading)
    with plugins_read_once():
        for group in ("gevent.plugins.monkey.did_patch_all", "gevent.plugins.monkey.none"):
            assert set(metadata.entry_points(group=group)) == set(real(group=group))
        (plugin,) = (
            each.value
            for each in metadata.entry_points(group="gevent.plugins.monkey.did_patch_all")
            if each.name == "x"
        )
        assert plugin == "plugin:v2"
        assert reads == []
        (other,) = metadata.entry_points(group="others")
        assert other.value == "other:v1"
        assert reads == [{"group": "others"}]
    assert metadata.entry_points is reading


BEFORE = """\
import sys
import factstore.wsgi.server.gunicorn, factstore.wsgi.server.master, factstore.wsgi.server.worker
print(*sys.modules)
"""
# They keep what gevent replaces: locals of threads, locks, sleep, or sockets.
PATCHED_FIRST = re.compile(
    r"(flask|grpc|keystonemiddleware|oslo_context|requests|urllib3)\b"
    r"|factstore\.(api\.(?!body_limit\b)|(core\.services|store|watch)\b)"
)


def test_what_a_worker_imports_before_it_is_patched_keeps_nothing_that_is_patched() -> None:
    argv = [sys.executable, "-W", "error", "-c", BEFORE]
    imported = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in imported if PATCHED_FIRST.match(name)] == []
