"""Regular expressions of libraries, which are compiled when they are used."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from factstore.wsgi.regular_expressions import compiled_when_used

TEXT = r"(?P<name>[a-z]+)=(\d*)"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The patterns that were compiled."""
    found: list[Any] = []
    real = re.compile

    def record(pattern: Any, flags: int = 0) -> re.Pattern[Any]:
        found.append(pattern)
        return real(pattern, flags)

    monkeypatch.setattr(re, "compile", record)
    return found


def made(pattern: Any = TEXT, flags: int = 0) -> Any:
    with compiled_when_used():
        return re.compile(pattern, flags)


USES: dict[str, Callable[[Any], object]] = {
    "match": lambda p: p.match("a=1").groupdict(),
    "fullmatch": lambda p: p.fullmatch("A=1"),
    "search": lambda p: p.search("--a=1", 1).span(),
    "split": lambda p: p.split("a=1b=2", maxsplit=1),
    "findall": lambda p: p.findall("a=1b=2"),
    "finditer": lambda p: [each[2] for each in p.finditer("a=1b=2")],
    "sub": lambda p: p.sub(r"\2", "a=1b=2", count=1),
    "subn": lambda p: p.subn("", "a=1b=2"),
    "scanner": lambda p: p.scanner("a=1").match()[0],
    "attributes": lambda p: (p.pattern, p.flags, p.groups, dict(p.groupindex)),
    "repr": repr,
    "hash": hash,
    "equality": lambda p: (p == re.compile(TEXT), p == p, p == TEXT, p != re.compile("b")),
    "class": lambda p: isinstance(p, re.Pattern),
    "functions of re": lambda p: (re.sub(p, "", "a=1"), re.match(p, "a=1")[1]),  # type: ignore[index]
    "compiled again": lambda p: re.compile(p).pattern,
    "copies": lambda p: [each.pattern for each in (copy.copy(p), copy.deepcopy(p))],
    "pickled": lambda p: pickle.loads(pickle.dumps(p)).findall("a=1"),
}


@pytest.mark.parametrize("use", USES)
def test_a_pattern_behaves_like_one_that_was_compiled_at_once(use: str) -> None:
    for _ in (1, 2):  # the first use compiles it
        assert USES[use](made()) == USES[use](re.compile(TEXT))


def test_a_pattern_is_compiled_by_its_first_use_and_with_its_flags(compiled: list[Any]) -> None:
    pattern, other = made(b"a.b", re.IGNORECASE | re.DOTALL), made("c")
    assert isinstance(pattern, re.Pattern)
    assert compiled == []
    assert pattern.match(b"A\nB")
    assert compiled == [b"a.b"]
    assert pattern.match(b"A\nB")
    assert compiled == [b"a.b"]
    assert other.pattern == "c"
    assert compiled == [b"a.b", "c"]


def test_a_wrong_pattern_is_refused_when_it_is_used() -> None:
    wrong = made("(")
    with pytest.raises(re.error):
        wrong.match("")


def test_patterns_are_compiled_at_once_again_afterwards() -> None:
    real = re.compile
    with pytest.raises(ZeroDivisionError), compiled_when_used():
        raise ZeroDivisionError
    assert re.compile is real
    assert type(re.compile("later")) is re.Pattern


LIBRARIES = """\
from factstore.wsgi.imports import import_while_reading
import_while_reading()
import jinja2, marshmallow, yaml
from oslo_utils import strutils
(pattern, *_) = strutils._SANITIZE_PATTERNS_2["password"]
print(type(pattern).__module__)
print(strutils.mask_password("password = 'secret'"))
print(yaml.safe_load("a: 2026-11-30").popitem(), jinja2.Template("{{ a }}!").render(a=1))
marshmallow.validate.Email()("alice@example.com")
marshmallow.validate.URL()("https://example.com/a?b")
"""


def test_libraries_work_with_patterns_that_a_worker_has_not_compiled() -> None:
    argv = [sys.executable, "-c", LIBRARIES]
    printed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == [
        compiled_when_used.__module__,
        "password = '***'",
        "('a', datetime.date(2026, 11, 30)) 1!",
    ]
