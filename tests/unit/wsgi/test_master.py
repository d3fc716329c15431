"""The master stops old workers when the new ones serve, and keeps them if those cannot start."""

from __future__ import annotations

import gc
import logging
import queue
import re
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from factstore.cmd import serve
from factstore.wsgi import configuration
from factstore.wsgi.server import master
from factstore.wsgi.server.master import Master


class ReloadingMaster(Master):
    """A master with an old and a new worker, whose pids are 1 and 2."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, reap: Callable[[Any], None]) -> None:
        self.new = SimpleNamespace(pid=2, age=2, is_ready=False, has_read=False)
        self.WORKERS = {1: SimpleNamespace(pid=1, age=1, is_ready=True), 2: self.new}
        self.SIG_QUEUE: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.cfg = SimpleNamespace(enable_backlog_metric=False)
        self.log = logging.getLogger(__name__)
        self._num_workers = 1
        self._last_logged_active_worker_count = 1
        self._reap = reap
        self.polls = 0
        self.stopped: list[tuple[int, int]] = []
        monkeypatch.setattr(master, "_POLL_SECONDS", 0)

    def reap_workers(self) -> None:
        self.polls += 1
        self._reap(self)

    def kill_worker(self, pid: int, sig: int) -> None:
        self.stopped.append((pid, sig))


def test_a_master_that_has_started_collects_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Arbiter, "start", lambda self: None)
    gc.disable()  # as the command does for the imports
    try:
        ReloadingMaster(monkeypatch, lambda reloading: None).start()
        assert gc.isenabled()
    finally:
        gc.enable()


def test_a_command_that_does_not_serve_collects_garbage_afterwards(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(configuration.FILES_VARIABLE, "")  # the command sets it
    assert serve.main(["--config-file", str(tmp_path / "missing.conf")]) != 0
    assert gc.isenabled()


def test_an_old_worker_is_stopped_when_the_new_one_is_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def become_ready(reloading: ReloadingMaster) -> None:
        assert not reloading.stopped
        reloading.new.is_ready = reloading.polls >= 2
        reloading.new.has_read = reloading.polls == 3

    reloading = ReloadingMaster(monkeypatch, become_ready)
    reloading.manage_workers()
    assert reloading.stopped == [(1, signal.SIGTERM)]
    assert reloading.polls == 3


def test_an_old_worker_remains_if_the_new_one_cannot_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(reloading: ReloadingMaster) -> None:
        del reloading.WORKERS[2]
        raise HaltServer("Worker failed to boot.", 3)

    reloading = ReloadingMaster(monkeypatch, fail)
    reloading.manage_workers()
    assert not reloading.stopped
    assert "The old workers remain" in caplog.text


def test_an_old_worker_remains_if_the_new_one_cannot_read_the_store(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def load(reloading: ReloadingMaster) -> None:
        reloading.new.is_ready = True

    monkeypatch.setattr(master, "READ_SECONDS", 0.0)
    reloading = ReloadingMaster(monkeypatch, load)
    reloading.manage_workers()
    assert reloading.stopped == [(2, signal.SIGTERM)]
    assert "The old workers remain, because new ones cannot read the store" in caplog.text
    del reloading.WORKERS[2]
    reloading.manage_workers()
    assert reloading.stopped == [(2, signal.SIGTERM)]


def test_another_reload_is_not_held_up_by_a_worker_that_cannot_read_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(reloading: ReloadingMaster) -> None:
        reloading.new.is_ready = reloading.polls == 2
        reloading.SIG_QUEUE.put(signal.SIGHUP)

    reloading = ReloadingMaster(monkeypatch, load)
    reloading.manage_workers()
    assert reloading.polls == 2
    assert reloading.stopped == [(2, signal.SIGTERM)]
    assert reloading.SIG_QUEUE.get_nowait() == signal.SIGHUP


def test_a_signal_to_stop_is_not_held_up_by_a_worker_that_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(reloading: ReloadingMaster) -> None:
        for each in (signal.SIGCHLD, signal.SIGTERM):
            reloading.SIG_QUEUE.put(each)

    reloading = ReloadingMaster(monkeypatch, stop)
    reloading.manage_workers()
    arrived = [reloading.SIG_QUEUE.get_nowait() for _ in range(reloading.SIG_QUEUE.qsize())]
    assert arrived == [signal.SIGCHLD, signal.SIGTERM]


@pytest.mark.parametrize(
    ("written", "refused"),
    [
        (None, "cannot be used: Failed to find some config files: "),
        (b"[api]\nport = many\n", r"cannot be used: \[api\] port: .*many"),
        (
            b"[api]\nport 8796\n",
            "cannot be read: .*factstore.conf has a line that is not an option",
        ),
        (b"[api]\n# \xff\n", "cannot be read: line 2 of a file is not text in UTF-8"),
    ],
)
def test_a_configuration_that_cannot_be_used_replaces_no_worker(
    written: bytes | None,
    refused: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = tmp_path / "factstore.conf"
    if written is not None:
        file.write_bytes(written)
    monkeypatch.setenv("OS_FACTSTORE_CONFIG_FILES", str(file))
    reloading = ReloadingMaster(monkeypatch, lambda _: None)
    reloading.reload()
    assert not reloading.stopped
    assert re.search(f"The workers are not replaced: the configuration {refused}", caplog.text)


def test_a_reload_reports_options_that_have_no_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "factstore.conf"
    file.write_text("[api]\nwrokers = 4\n[limit]\nfacts = 1\n")
    monkeypatch.setenv("OS_FACTSTORE_CONFIG_FILES", str(file))
    monkeypatch.setattr(Arbiter, "reload", lambda self: None)
    ReloadingMaster(monkeypatch, lambda _: None).reload()
    (text,) = caplog.messages
    assert "[api] wrokers is unknown" in text
    assert "[limit] is unknown" in text
