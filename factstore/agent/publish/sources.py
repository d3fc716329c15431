"""What the agent finds to tell: built-in facts, and ``facts.d``.

A source is a file of ``facts.d``, or the built-in facts.  One that is broken is named, with the reason,
and passed over: it never keeps the others from being told, nor takes back what it told before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factstore.agent.config.settings import Facts
from factstore.agent.system import host_facts
from factstore.agent.system.drop_ins import drop_ins
from factstore.agent.system.run_program import printable, run
from factstore.client.clock import Clock

OUTPUT_BYTES = 1024 * 1024
BUILTIN = "built-in facts"


@dataclass(slots=True)
class Collected:
    """All that is to be told.

    :ivar facts: by path, below the member's own folder; of two sources the later one counts.
    :ivar sources: by path, which source it is from.
    :ivar problems: by source, what is wrong with it.
    :ivar blind: which sources there are could not be found out.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    blind: bool = False

    def vanished(self, path: str, source: str) -> bool:
        """Whether a fact that a source told before is told no more."""
        return path not in self.facts and source not in self.problems and not self.blind

    def and_also(self, source: str, facts: Mapping[str, Any]) -> Collected:
        """The same with what one more source tells."""
        return Collected(
            {**self.facts, **facts},
            {**self.sources, **dict.fromkeys(facts, source)},
            self.problems,
            self.blind,
        )

    def take(self, source: str, facts: Mapping[str, Any]) -> None:
        """Add what a source tells."""
        for path, value in facts.items():
            self.facts[path] = value
            self.sources[path] = source


class Collector:
    """Collects, and remembers what each source told when it was whole.

    :param log: told what programs print to stderr.
    """

    def __init__(
        self,
        settings: Facts,
        clock: Clock,
        log: Callable[[str], None],
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._log = log
        self._stopping = stopping
        self._last: dict[str, dict[str, Any]] = {}

    def collect(self) -> Collected:
        """Everything that is to be told now."""
        found = Collected()
        found.take(BUILTIN, host_facts.collect(self._settings.builtin))
        last: dict[str, dict[str, Any]] = {}
        try:
            for file in drop_ins(self._settings.directory):
                try:
                    last[file.name] = dict(self._read(file))
                except _Broken as error:
                    found.problems[file.name] = str(error)
                    last[file.name] = self._last.get(file.name, {})
        except OSError as error:
            found.problems["facts.d"] = f"cannot be read: {error.strerror}"
            found.blind = True
            last = self._last
        self._last = last
        for source, told in last.items():
            found.take(source, told)
        return found

    def _read(self, file: Path) -> Iterator[tuple[str, Any]]:
        """The facts of a file."""
        if os.access(file, os.X_OK):
            ended = run(
                file,
                clock=self._clock,
                timeout=self._settings.timeout,
                env={},
                on_line=lambda line: self._log(f"{file.name}: {line}"),
                keep=OUTPUT_BYTES,
                stopping=self._stopping,
            )
            if ended.reason is not None:
                raise _Broken(ended.reason)
            return checked(_printed(ended.output))
        if file.suffix not in (".json", ".yaml", ".yml"):
            raise _Broken("is neither executable nor named *.json, *.yaml or *.yml")
        try:
            with file.open("rb") as opened:
                data = opened.read(OUTPUT_BYTES + 1)
        except OSError as error:
            raise _Broken(f"cannot be read: {error.strerror}") from error
        if len(data) > OUTPUT_BYTES:
            raise _Broken(f"holds more than {OUTPUT_BYTES} bytes")
        return checked(_json(data) if file.suffix == ".json" else _yaml(data))


class _Broken(Exception):
    """A source that cannot be used, and why."""


def checked(found: Any) -> Iterator[tuple[str, Any]]:
    """The facts of a mapping from paths to values that JSON knows."""
    if not isinstance(found, dict):
        raise _Broken("holds no mapping from paths to values")
    for path, value in found.items():
        if not isinstance(path, str) or not path:
            raise _Broken(f"has {path!r} for a path")
        try:
            yield path, json.loads(json.dumps(value, allow_nan=False))
        except (ValueError, TypeError, RecursionError) as error:
            raise _Broken(f"has a value at {printable(path)} that JSON does not know") from error


def _printed(output: bytes) -> Any:
    """What a program printed: a JSON object, or lines ``path=value``."""
    text = _text(output)
    if text.lstrip().startswith(("{", "[")):
        return _json(output)
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            path, sign, value = line.partition("=")
            if not sign:
                raise _Broken(f"printed neither JSON nor path=value in line {number}")
            found[path.strip()] = value.strip()
    return found


def _json(data: bytes) -> Any:
    try:
        return json.loads(_text(data))
    except (ValueError, RecursionError) as error:
        raise _Broken(f"is no JSON: {_where(error)}") from error


def _yaml(data: bytes) -> Any:
    try:
        import yaml  # only who has such files needs it
    except ImportError as error:
        raise _Broken("is YAML, for which PyYAML is needed: install factstore[agent]") from error
    try:
        return yaml.safe_load(_text(data)) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else "it cannot be read"
        raise _Broken(f"is no YAML: {where}") from error


def _where(error: Exception) -> str:
    """The place of a mistake, without what stands there."""
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}"
    return "it cannot be read"


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _Broken("is not UTF-8") from error
