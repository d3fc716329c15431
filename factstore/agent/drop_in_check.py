"""Problems of the files in ``facts.d`` and ``hooks.d``, which the agent reads again and again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from factstore.agent.apply.hooks import hooks_passed_over
from factstore.agent.config.option_types import is_fact_path
from factstore.agent.config.settings import FactsOptions, ReactOptions, Settings
from factstore.agent.publish.fact_formats import SourceError
from factstore.agent.publish.sources import read_facts
from factstore.agent.system.drop_ins import drop_ins, passed_over
from factstore.agent.system.executables import why_not_executable


def find_problems(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each file that is not used as somebody may expect.  No program is run."""
    for option, directory, default, find in (
        ("[facts] directory", settings.facts.directory, FactsOptions.directory, _fact_problems),
        ("[react] hooks", settings.react.hooks, ReactOptions.hooks, _hook_problems),
    ):
        if directory != default and not os.path.lexists(directory):
            yield f"{option}: {directory} does not exist."
        try:
            for file, reason in find(directory):
                yield f"{option}: {file} {reason}."
        except OSError as error:
            yield f"{option}: {directory} cannot be read: {error.strerror}."


def count_facts(settings: Settings) -> int:
    """Return the number of files in ``facts.d`` that are read."""
    return len(drop_ins(settings.facts.directory))


def count_hooks(settings: Settings) -> int:
    """Return the number of hooks that run."""
    hooks = settings.react.hooks
    return len([file for file in drop_ins(hooks) if file not in hooks_passed_over(hooks)])


def _fact_problems(directory: Path) -> Iterator[tuple[Path, str]]:
    for file, reason in passed_over(directory).items():
        yield file, f"{reason}, and is ignored"
    for file in drop_ins(directory):
        why = why_not_executable(file) if os.access(file, os.X_OK) else _why_invalid(file)
        if why is not None:
            yield file, why


def _why_invalid(file: Path) -> str | None:
    try:
        paths = [path for path, _ in read_facts(file)]
    except SourceError as error:
        return str(error)
    invalid = next((path for path in paths if not is_fact_path(path)), None)
    return None if invalid is None else f"contains {invalid!r}, which is not a path of a fact"


def _hook_problems(directory: Path) -> Iterator[tuple[Path, str]]:
    ignored = hooks_passed_over(directory)
    for file, reason in ignored.items():
        yield file, f"{reason} and will not run"
    for file in drop_ins(directory):
        why = why_not_executable(file)
        if file not in ignored and why is not None:
            yield file, why
