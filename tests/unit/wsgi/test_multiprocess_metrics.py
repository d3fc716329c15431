"""The master removes what killed masters have left, and nothing else."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from factstore.wsgi.ops import multiprocess_metrics

NAMELESS = 3_999_999_999
GONE = 2**22 + 1  # above the kernel's highest process id


def test_directories_of_killed_masters_are_removed_and_those_of_others_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv(multiprocess_metrics.VARIABLE, "")
    monkeypatch.delenv(multiprocess_metrics.VARIABLE)
    abandoned = tmp_path / f"factstore-metrics-{GONE}-a"
    running = tmp_path / f"factstore-metrics-{os.getpid()}-b"
    foreign = tmp_path / f"factstore-metrics-{GONE}-c"
    for directory in (abandoned, running, foreign):
        directory.mkdir()
    privileged = os.geteuid() == 0
    if privileged:
        os.chown(foreign, NAMELESS, -1)  # a user of another container, who has no name here
    multiprocess_metrics.share()
    made = Path(os.environ[multiprocess_metrics.VARIABLE])
    assert set(tmp_path.iterdir()) == {running, made} | ({foreign} if privileged else set())
    multiprocess_metrics.unshare()
    assert not made.exists()
