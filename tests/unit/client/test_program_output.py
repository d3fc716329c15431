"""Programs whose standard output cannot be written."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

import pytest

from factstore.agent import cli
from factstore.client.program_output import CLOSED, run_program
from factstore.cmd import main, migrate, notify, serve, status
from tests.cases import cases

PROGRAMS: dict[str, Callable[[Sequence[str]], int]] = {
    "factstore": main.main,
    "factstore-api": serve.main,
    "factstore-notify": notify.main,
    "factstore-status": status.main,
    "factstore-migrate": migrate.main,
    "factstore-agent": cli.main,
}


@contextmanager
def closed_pipe() -> Iterator[TextIO]:
    """Yield a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as pipe:
        yield pipe


def test_a_full_disk_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full, cases() as case:
        monkeypatch.setattr(sys, "stdout", full)
        for name, program in PROGRAMS.items():
            with case(name):
                assert program(["--help"]) == (255 if name == "factstore-status" else 1)
                line = f"{name}: the output cannot be written: No space left on device\n"
                assert capsys.readouterr().err == line
                assert sys.stdout is full


def test_without_a_reader_programs_end_as_by_sigpipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with closed_pipe() as pipe, cases() as case:
        monkeypatch.setattr(sys, "stdout", pipe)
        for name, program in PROGRAMS.items():
            with case(name):
                assert program(["--help"]) == CLOSED
                assert capsys.readouterr().err == ""


def test_programs_work_without_standard_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> int:
        print("text")
        sys.stdout.buffer.write(b"bytes")
        print("text", file=sys.stderr)
        return 3

    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, None)
    assert run_program("program", run) == 3
    assert sys.stdout is None


def test_standard_error_is_ignored_if_its_disk_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> int:
        print("text", file=sys.stderr, flush=True)
        return 3

    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stderr", full)
        assert run_program("program", run) == 3


def test_a_failure_of_the_output_is_not_one_of_the_programs_files(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> int:
        try:
            print("x" * 100_000)
        except OSError:
            return 9
        return 3

    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert run_program("program", run, lambda: 5) == 5
    assert capsys.readouterr().err.startswith("program: the output cannot be written")
