"""The sources of facts: the built-in facts, and the files of ``facts.d``.

A source that fails is reported and skipped: the other sources are still published, and so are the facts
that the failed source returned before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factstore.agent.config.settings import FactsOptions
from factstore.agent.system.drop_ins import drop_ins
from factstore.agent.system.host_facts import HostFacts
from factstore.agent.system.run_program import printable, run_program
from factstore.client.clock import Clock

SOURCE_BYTES = 1024 * 1024
BUILTIN = "built-in facts"


@dataclass
class CollectedFacts:
    """The facts of all sources.

    :ivar facts: by path, below the member's folder.  If two sources have the same path, the later wins.
    :ivar source_of: the source of each fact, by path.
    :ivar problems: the reason for each source that failed, by source.
    :ivar directory_failed: True if ``facts.d`` could not be listed.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    source_of: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    directory_failed: bool = False

    def is_withdrawn(self, path: str, source: str) -> bool:
        """Return True if a source that published a fact before has dropped it."""
        return path not in self.facts and source not in self.problems and not self.directory_failed

    def with_source(self, source: str, facts: Mapping[str, Any]) -> CollectedFacts:
        """Return a copy with the facts of one more source."""
        return CollectedFacts(
            {**self.facts, **facts},
            {**self.source_of, **dict.fromkeys(facts, source)},
            self.problems,
            self.directory_failed,
        )

    def add(self, source: str, facts: Mapping[str, Any]) -> None:
        """Add the facts of a source."""
        self.facts.update(facts)
        self.source_of.update(dict.fromkeys(facts, source))


class FactCollector:
    """Collects facts, and remembers the last facts of each source.

    :param log: called with the lines that programs print to stderr.
    :param should_stop: returns True if a running program is to be terminated.
    :param service_address: returns the address of this machine on the last connection to the service.
    """

    def __init__(
        self,
        options: FactsOptions,
        clock: Clock,
        log: Callable[[str], None],
        should_stop: Callable[[], bool] = lambda: False,
        service_address: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._host = HostFacts(service_address)
        self._options = options
        self._clock = clock
        self._log = log
        self._should_stop = should_stop
        self._last: dict[str, dict[str, Any]] = {}

    def collect(self) -> CollectedFacts:
        """Return the current facts of all sources."""
        collected = CollectedFacts()
        collected.add(BUILTIN, self._host.collect(self._options.builtin))
        current: dict[str, dict[str, Any]] = {}
        try:
            for file in drop_ins(self._options.directory):
                try:
                    current[file.name] = dict(self._read(file))
                except _SourceError as error:
                    collected.problems[file.name] = str(error)
                    current[file.name] = self._last.get(file.name, {})
        except OSError as error:
            collected.problems["facts.d"] = f"cannot be read: {error.strerror}"
            collected.directory_failed = True
            current = self._last
        self._last = current
        for source, facts in current.items():
            collected.add(source, facts)
        return collected

    def _read(self, file: Path) -> Iterator[tuple[str, Any]]:
        """Yield the facts of a file, or of the output of a program."""
        if os.access(file, os.X_OK):
            result = run_program(
                file,
                clock=self._clock,
                timeout=self._options.timeout,
                env={},
                on_line=lambda line: self._log(f"{file.name}: {line}"),
                capture=SOURCE_BYTES,
                should_stop=self._should_stop,
            )
            if result.failure is not None:
                raise _SourceError(result.failure)
            return _validated(_parse_output(result.output))
        if file.suffix not in (".json", ".yaml", ".yml"):
            raise _SourceError("is neither executable nor named *.json, *.yaml or *.yml")
        try:
            with file.open("rb") as opened:
                data = opened.read(SOURCE_BYTES + 1)
        except OSError as error:
            raise _SourceError(f"cannot be read: {error.strerror}") from error
        if len(data) > SOURCE_BYTES:
            raise _SourceError(f"is larger than {SOURCE_BYTES} bytes")
        return _validated(_parse_json(data) if file.suffix == ".json" else _parse_yaml(data))


class _SourceError(Exception):
    """A source failed; the text is the predicate of a sentence about it."""


def _validated(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield the facts of a mapping from paths to JSON values."""
    if not isinstance(document, dict):
        raise _SourceError("does not contain a mapping from paths to values")
    for path, value in document.items():
        if not isinstance(path, str) or not path:
            raise _SourceError(f"contains {path!r}, which is not a path")
        try:
            yield path, json.loads(json.dumps(value, allow_nan=False))
        except (ValueError, TypeError, RecursionError) as error:
            raise _SourceError(
                f"contains a value at {printable(path)} that JSON cannot represent"
            ) from error


def _parse_output(output: bytes) -> Any:
    """Parse the output of a program: a JSON object, or lines ``path=value``."""
    text = _decode(output)
    if text.lstrip().startswith(("{", "[")):
        return _parse_json(output)
    facts = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            path, sign, value = line.partition("=")
            if not sign:
                raise _SourceError(f"printed neither JSON nor path=value on line {number}")
            facts[path.strip()] = value.strip()
    return facts


def _parse_json(data: bytes) -> Any:
    try:
        return json.loads(_decode(data))
    except (ValueError, RecursionError) as error:
        raise _SourceError(f"is not valid JSON: {_position(error)}") from error


def _parse_yaml(data: bytes) -> Any:
    try:
        import yaml  # an optional dependency
    except ImportError as error:
        raise _SourceError(
            "is YAML, which needs PyYAML: install openstack-factstore[agent]"
        ) from error
    try:
        return yaml.safe_load(_decode(data)) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        position = f"line {mark.line + 1}" if mark is not None else "it cannot be parsed"
        raise _SourceError(f"is not valid YAML: {position}") from error


def _position(error: Exception) -> str:
    """Return the position of a syntax error, without the text there: it may be a secret."""
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}"
    return "it cannot be parsed"


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _SourceError("is not UTF-8") from error
