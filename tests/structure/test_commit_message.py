"""The check of a commit message's form."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "check_commit_message.py"
GOOD = "agent: renew the grant before it expires\n\nA grant that expires stops the agent.\n"


@pytest.fixture
def problems() -> Callable[[str], list[str]]:
    check: Callable[[str], list[str]] = runpy.run_path(str(SCRIPT))["problems"]
    return check


def test_a_well_formed_message_has_no_problems(problems: Callable[[str], list[str]]) -> None:
    assert problems(GOOD) == []
    assert problems(f"{GOOD}# a comment\n# ---- >8 ----\ndiff --git\n") == []
    assert problems(GOOD.replace("renew", "pass").replace("agent", "tests/faults, agent")) == []


def test_each_mistake_is_reported(problems: Callable[[str], list[str]]) -> None:
    subject, _, body = GOOD.partition("\n")
    for message, word in (
        (f"Renew the grant\n{body}", "area: verb the thing"),
        (f"agent: renew\n{body}", "area: verb the thing"),
        *(
            (f"agent: {verb} the grant\n{body}", "imperative")
            for verb in ("renewed", "renews", "renewing", "Renewed")
        ),
        (f"{subject}{'!' * 40}\n{body}", "at most 72"),
        (f"{subject}.\n{body}", "full stop"),
        (f"{subject}{body}", "not blank"),
        (subject, "body is missing"),
        (f"{subject}\n\n# Please enter the commit message\n", "body is missing"),
    ):
        (problem,) = problems(message)
        assert word in problem
    assert len(problems("")) == 2


def test_messages_that_git_generates_are_accepted(problems: Callable[[str], list[str]]) -> None:
    for message in (
        "fixup! agent: renew",
        "squash! agent: renew",
        "Merge branch 'main'",
        'Revert "agent: renew the grant"',
    ):
        assert problems(message) == []


def test_the_hook_refuses_a_commit_with_a_malformed_message(tmp_path: Path) -> None:
    file = tmp_path / "COMMIT_EDITMSG"
    for message, status in ((GOOD, 0), ("All figures were taken again", 1)):
        file.write_text(message)
        done = subprocess.run([sys.executable, SCRIPT, file], capture_output=True, check=False)
        assert done.returncode == status
