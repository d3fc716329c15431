"""Results of configurations: the progress of a run, and its end.

A result is a fact at ``results/<member>/<name>``, so that everyone who reads the stack can watch it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from typing import Any, Literal, get_args

from factstore.core.errors import Invalid
from factstore.core.model.fact import Fact
from factstore.core.model.path import quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.value import canonical_of_any_size, utf8_size

ResultState = Literal["in_progress", "complete", "failed"]
RESULT_STATES: tuple[ResultState, ...] = get_args(ResultState)

OUTPUT_BYTES = 16 * 1024  # of stdout, of stderr and of all outputs
MESSAGE_BYTES = 1024
STATUS_CODE_BOUND = 2**31


@quick_dataclass(frozen=True, slots=True)
class ConfigurationResult:
    """The result of a run, or its progress.  Create it with :meth:`of`, which checks the limits.

    :param id: of the configuration that ran.
    :param status_code: of the hook; None until it has ended.
    :param stdout: the end of the output.
    :param outputs: canonical JSON of the outputs, by name.
    :param percent: the progress, 0 to 100; None if it is not known.
    :param message: the last line of output.
    :param reason: why the run failed, if the hook did not report it.
    """

    id: str
    state: ResultState
    status_code: int | None
    stdout: str = field(repr=False)
    stderr: str = field(repr=False)
    outputs: str = field(repr=False)
    percent: int | None
    message: str
    reason: str

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> ConfigurationResult:
        """Return a checked result.

        :param body: the fields of JSON, all of them.
        :raises Invalid: ``schema`` or ``json_value``.
        """
        if not isinstance(body["id"], str):
            raise _invalid("id", "it must be a string")
        if body["state"] not in RESULT_STATES:
            raise _invalid("state", f"it must be one of {', '.join(RESULT_STATES)}")
        for name, low, high in (
            ("status_code", -STATUS_CODE_BOUND, STATUS_CODE_BOUND - 1),
            ("percent", 0, 100),
        ):
            number = body[name]
            if number is not None and (type(number) is not int or not low <= number <= high):
                raise _invalid(name, f"it must be null or a whole number from {low} to {high}")
        for name, limit in (
            ("stdout", OUTPUT_BYTES),
            ("stderr", OUTPUT_BYTES),
            ("message", MESSAGE_BYTES),
            ("reason", MESSAGE_BYTES),
        ):
            if not isinstance(body[name], str):
                raise _invalid(name, "it must be a string")
            canonical_of_any_size(body[name])
            _check_size(name, utf8_size(body[name]), limit)
        if not isinstance(body["outputs"], dict):
            raise _invalid("outputs", "it must be an object")
        outputs = canonical_of_any_size(body["outputs"])
        _check_size("outputs", utf8_size(outputs), OUTPUT_BYTES)
        return cls(**{**{name: body[name] for name in _PLAIN}, "outputs": outputs})

    @property
    def ended(self) -> bool:
        """True if the run is over."""
        return self.state != "in_progress"

    @property
    def document(self) -> dict[str, Any]:
        """The fields as JSON."""
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "outputs": json.loads(self.outputs),
        }


_PLAIN = ("id", "state", "status_code", "stdout", "stderr", "percent", "message", "reason")


@quick_dataclass(frozen=True, slots=True)
class StoredResult:
    """A result as it is stored.

    :param started_at: the instant of the first report of the run, by the clock of the service.
    :param ended_at: the instant at which the end was reported; None before.
    :param fact: the fact that contains it.
    """

    result: ConfigurationResult
    started_at: str
    ended_at: str | None
    fact: Fact

    @classmethod
    def parse(cls, fact: Fact | None) -> StoredResult | None:
        """Return the result in a fact; None if the fact is missing or contains something else."""
        if fact is None:
            return None
        parsed = _parsed(fact.text)
        return None if parsed is None else cls(*parsed, fact)


@lru_cache(maxsize=512)
def _parsed(text: str) -> tuple[ConfigurationResult, str, str | None] | None:
    document = json.loads(text)
    try:
        started_at, ended_at = document["started_at"], document["ended_at"]
        if not isinstance(started_at, str) or not isinstance(ended_at, str | None):
            return None
        return ConfigurationResult.of(document), started_at, ended_at
    except (Invalid, KeyError, TypeError):  # a fact that the member put there by itself
        return None


def _check_size(name: str, size: int, limit: int) -> None:
    if size > limit:
        raise _invalid(name, f"it is {size} bytes; at most {limit} are allowed. Send the end of it")


def _invalid(name: str, problem: str) -> Invalid:
    return Invalid(f"Field {quoted(name)}: {problem}.", code="schema", extra={"field": name})
