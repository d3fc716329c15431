"""Code blocks of the documentation."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOC = ROOT / "doc" / "source"


def code(page: str, language: str) -> list[str]:
    """Return the code blocks of a page in one language."""
    text = (DOC / page).read_text()
    blocks = re.findall(
        rf"^ *\.\. code-block:: {language}\n\n((?:(?: .*)?\n)+)", text, re.MULTILINE
    )
    return [textwrap.dedent(block).strip("\n") for block in blocks]


def session(page: str) -> list[tuple[str, str]]:
    """Return the commands of a page's console blocks, each with the output that the page shows."""
    found: list[tuple[str, str]] = []
    for block in code(page, "console"):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], ""))
            else:
                command, printed = found[-1]
                found[-1] = (command, f"{printed}{line}\n")
    return found
