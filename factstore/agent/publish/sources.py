"""The sources of facts: the built-in facts, and the files of ``facts.d``.

A source that fails is reported and skipped: the other sources are still published, and so are the facts
that the failed source returned before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factstore.agent.config.settings import FactsOptions
from factstore.agent.publish.fact_formats import (
    SourceError,
    parse_json,
    parse_output,
    parse_yaml,
    validated,
)
from factstore.agent.system.drop_ins import PassedOverLog, drop_ins, passed_over
from factstore.agent.system.host_facts import HostFacts
from factstore.agent.system.run_program import run_program
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
        self._passed_over = PassedOverLog(lambda: passed_over(options.directory))

    def collect(self) -> CollectedFacts:
        """Return the current facts of all sources."""
        collected = CollectedFacts()
        collected.add(BUILTIN, self._host.collect(self._options.builtin))
        current: dict[str, dict[str, Any]] = {}
        try:
            self._passed_over.update()
            for file in drop_ins(self._options.directory):
                try:
                    current[file.name] = dict(self._read(file))
                except SourceError as error:
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
                raise SourceError(result.failure)
            return validated(parse_output(result.output))
        return read_facts(file)


def read_facts(file: Path) -> Iterator[tuple[str, Any]]:
    """Yield the facts of a file that is not a program.

    :raises SourceError: the file cannot be read or is invalid.
    """
    if file.suffix not in (".json", ".yaml", ".yml"):
        raise SourceError("is neither executable nor named *.json, *.yaml or *.yml")
    try:
        with file.open("rb") as opened:
            data = opened.read(SOURCE_BYTES + 1)
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}") from error
    if len(data) > SOURCE_BYTES:
        raise SourceError(f"is larger than {SOURCE_BYTES} bytes")
    return validated(parse_json(data) if file.suffix == ".json" else parse_yaml(data))
