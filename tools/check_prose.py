#!/usr/bin/env python3
"""Report phrases that STYLE.md advises against, each with its file, its line and a better word.

    check_prose.py [FILE ...]    check these files, or every file of the checkout
    check_prose.py --count       print the number of findings in each directory, NOT_YET_CLEAN included

Phrases are found in code too, as in `hangs_on`, and where a line breaks between their words. A line
that has to contain one ends with the comment "prose: ignore".
"""

from __future__ import annotations

import collections
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Directories and files that still have findings. This list only shrinks.
NOT_YET_CLEAN: tuple[str, ...] = ("doc/source/contributor",)

# These quote the phrases in order to refuse them.
EXEMPT = ("STYLE.md", "LICENSE", "tools/check_prose.py", "tests/structure/test_prose.py")

BE = "(?:is|are|was|were|be|been|being)"
DOES = "(?:asks|departs|follows|gets|has|holds|joins|knows|needs|reads|sees|sends|settles|waits|writes)"

# Each phrase, as a regular expression without regard to case, and what to write instead.
PHRASES = {
    "whoever": "name the subject: the caller, the reader, the agent",
    "anew": "again, or a verb with re-",
    "likewise": "also, the same",
    "be it": "whether ... or, even if",
    "that which": "repeat the noun",
    "(?:come|comes|came|coming) to nothing": "fail",
    "(?:hang|hangs|hung|hanging) on": "depend on, be attached to",
    f"{BE} told": "be notified, receive, be given",
    "(?:tell|tells|telling) (?:who|what|whether|that|how|which|when|of)": "report, publish, notify",
    "(?:say|says|saying) (?:who|what|whether|how|which|so)": "state, return, report",
    "(?:hear|hears|heard) of": "receive, be notified of; send heartbeats",
    "one does": "name the subject",
    "(?:go|goes|went|going) with (?:it|them|its|their)": "be deleted with, expire with",
    "got with": "issued from, obtained with",
    "for ever": "forever, indefinitely",
    "(?:do|does|did|doing) without": "not need, work without",
    "(?:let|lets|letting)(?: it| them| him| her|) in(?! the)": "accept, admit",
    "(?:stand|stands|stood|standing) (?:there|beside|in(?! for))": "be, exist, be stored",
    "(?:lie|lies|lay|lying) (?:there|beside|below|in)": "be, be stored, be below",
    "as (?:it|they) (?:stand|stands|stood)": "unchanged, current",
    "no more(?=[.,;:)])": "no longer",
    "there is none": "no ... exists, not found",
    "what (?:comes|came|ends|goes|holds|lies|lives|stands|went)": "repeat the noun",
    f"(?-i:Who) {DOES}": "name the subject: a reader, a caller, a member",
    "what (?:becomes|became) of": "the result of",
    "whatever (?:becomes|comes|dies|ends|happens)": "in every case, even if",
    "but for": "except, apart from",
    "lest": "so that ... not",
    "be (?:had|got)": "be available, be obtained",
    "(?:its|their) kin": "similar ones",
}
DOCSTRING = "Whether|What|Who|Whose|That|How|As"
BETTER_DOCSTRING = "an imperative ('Return ...') or a noun phrase"

# A space is as long as what it replaces, so that positions stay those of the file.
SPACES = str.maketrans(dict.fromkeys("_#*`\"'\n", " "))
# The condition at the beginning is not repeated for each phrase: most positions are within words.
PATTERN = re.compile(
    f"(?<![A-Za-z])(?=[A-Za-z])(?:{'|'.join(f'({phrase})' for phrase in PHRASES)})(?![A-Za-z])".replace(
        " ", " +"
    ),
    re.IGNORECASE,
)
DOCSTRING_PATTERN = re.compile(rf'"""(?:{DOCSTRING})\b')


def findings(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the position, the phrase and the better word of each finding."""
    better = list(PHRASES.values())
    for match in PATTERN.finditer(text.translate(SPACES)):
        number = match.lastindex or 0
        yield match.start(), " ".join(match[0].split()), better[number - 1]
    for match in DOCSTRING_PATTERN.finditer(text):
        yield match.start(), match[0], BETTER_DOCSTRING


def check(name: str) -> list[str]:
    """Return a line for each finding in a file; none if the file is not text."""
    try:
        text = (ROOT / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return []
    lines = text.splitlines()
    found = []
    for position, phrase, better in sorted(findings(text)):
        number = text.count("\n", 0, position) + 1
        if "prose: ignore" not in lines[number - 1]:
            found.append(f"{name}:{number}: {phrase!r}: write {better}")
    return found


def tracked() -> list[str]:
    """Return the files of the checkout that git does not ignore."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def is_below(name: str, places: tuple[str, ...]) -> bool:
    """Return True if the file is one of the places or in one of them."""
    return any(name == place or name.startswith(f"{place}/") for place in places)


def main(arguments: list[str]) -> int:
    """Print the findings; return 1 if there are any."""
    if arguments == ["--count"]:
        counts: collections.Counter[str] = collections.Counter()
        for name in tracked():
            if not is_below(name, EXEMPT):
                counts["/".join(name.split("/")[:-1][:3]) or name] += len(check(name))
        for directory, count in sorted(counts.items()):
            if count:
                print(f"{count:5} {directory}")
        return 0
    names = [name for name in arguments or tracked() if not is_below(name, EXEMPT + NOT_YET_CLEAN)]
    found = [line for name in names for line in check(name)]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
