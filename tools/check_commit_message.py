#!/usr/bin/env python3
"""Check the form of a commit message: `area: verb the thing`, a blank line and a body.

check_commit_message.py FILE    as git's commit-msg hook does
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

LENGTH = 72
SCISSORS = re.compile(r"^# -+ >8 -+$", re.MULTILINE)
# git writes these itself, or rewrites them before they are merged.
GENERATED = re.compile(r"(?:fixup|squash|amend)! |Merge |Revert ")
SUBJECT = re.compile(r"[a-z][\w./-]*(?:, [a-z][\w./-]*)*: (?P<verb>\S+) \S")
NOT_IMPERATIVE = re.compile(r"[a-z]+(?:ed|ing|[^su]s)", re.IGNORECASE)
IMPERATIVE = {
    "bring",
    "embed",
    "exceed",
    "feed",
    "need",
    "ping",
    "proceed",
    "seed",
    "shed",
    "speed",
    "string",
}


def problems(message: str) -> list[str]:
    """Return what is wrong with a message, one sentence each; empty if it is well-formed."""
    kept = SCISSORS.split(message)[0]
    lines = [line.rstrip() for line in kept.splitlines() if not line.startswith("#")]
    subject, *rest = "\n".join(lines).strip().splitlines() or [""]
    if GENERATED.match(subject):
        return []
    found = []
    parts = SUBJECT.match(subject)
    if not parts:
        found.append("The subject is not of the form 'area: verb the thing'.")
    elif (verb := parts["verb"]).lower() not in IMPERATIVE and NOT_IMPERATIVE.fullmatch(verb):
        found.append(f"'{verb}' is not imperative; write 'add', not 'added', 'adds' or 'adding'.")
    if len(subject) > LENGTH:
        found.append(f"The subject has {len(subject)} characters; at most {LENGTH} are allowed.")
    if subject.endswith("."):
        found.append("The subject ends with a full stop; remove it.")
    if rest and rest[0]:
        found.append("The second line is not blank.")
    if not any(rest):
        found.append("The body is missing; say why the change is made.")
    return found


def main(arguments: list[str]) -> int:
    """Print the problems of the message in a file; return 1 if there are any."""
    found = problems(Path(arguments[0]).read_text(encoding="utf-8"))
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
