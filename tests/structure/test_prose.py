"""The check for phrases that STYLE.md advises against."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "check_prose.py"
BANNED = [
    "The agent joins anew.",
    "def test_it_joins_anew() -> None:",
    "ANEW = 3",
    "a fact, be\n    it small or not",
    '"it is refused to "\n"whoever asks"',
    "# that\n# which",
    "Who settles is notified.",
    '    """Whether it is open."""',
]
ALLOWED = [
    "Fold a new leaf; the reader who settles; the arena newly built.",
    "no more than two",
    "It stands in for a server.",
    '    """Return True if it is open."""',
    "a quotation: anew  # prose: ignore",
]


@pytest.fixture
def check(tmp_path: Path) -> Callable[[str], list[str]]:
    """Return a function that checks a file with some text."""
    check_file = runpy.run_path(str(SCRIPT))["check"]

    def check_text(text: str) -> list[str]:
        file = tmp_path / "page.rst"
        file.write_text(text)
        return [line.removeprefix(f"{file}:") for line in check_file(str(file))]

    return check_text


def test_a_banned_phrase_is_found_in_prose_in_names_and_across_lines(
    check: Callable[[str], list[str]],
) -> None:
    assert [text for text in BANNED if len(check(text)) != 1] == []


def test_similar_words_and_quotations_are_not_reported(check: Callable[[str], list[str]]) -> None:
    assert [text for text in ALLOWED if check(text)] == []


def test_a_finding_names_the_line_the_phrase_and_a_better_word(
    check: Callable[[str], list[str]],
) -> None:
    assert check("Fine.\n\nIt starts anew.\n") == ["3: 'anew': write again, or a verb with re-"]


def test_the_script_fails_on_a_planted_phrase_and_skips_binary_files(tmp_path: Path) -> None:
    planted, binary = tmp_path / "planted.md", tmp_path / "binary"
    planted.write_text("It starts anew.\n")
    binary.write_bytes(b"anew \xff\xfe")
    done = subprocess.run(
        [sys.executable, SCRIPT, planted, binary], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    assert "'anew'" in done.stdout
