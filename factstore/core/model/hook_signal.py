"""Signals of heat-config-notify: what a hook has printed, as the result of a configuration.

The texts are shortened to what a result may contain, because nobody can send them again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from factstore.core.model.configuration_result import (
    MESSAGE_BYTES,
    OUTPUT_BYTES,
    STATUS_CODE_BOUND,
    ConfigurationResult,
)
from factstore.core.model.value import canonical_of_any_size, utf8_size

NESTING = 32
"""The depth of a signal's JSON."""
_STANDARD = ("deploy_stdout", "deploy_stderr", "deploy_status_code")
_SHORTEST_SECRET = 5  # characters; shorter ones are not searched for


def result_of_signal(
    identifier: str, body: Mapping[str, Any], secrets: Collection[str] = ()
) -> ConfigurationResult:
    """Return the result that a signal reports.

    A status other than 0 is a failure, as it is for Heat; so is an empty signal, which is sent for a
    hook that printed nothing.

    :param identifier: of the configuration that ran.
    :param body: the signal.
    :param secrets: texts that are replaced with ``***``, the longest first.
    """
    status, reason = _status_code(body.get("deploy_status_code")), ""
    if not body:
        reason = "the hook printed nothing"
    elif body.get("deploy_status_code") is not None and status is None:
        reason = "deploy_status_code is not a whole number"
    stdout, stderr = (_text(body.get(f"deploy_{name}"), secrets) for name in ("stdout", "stderr"))
    outputs = {
        name: _redacted(value, secrets) for name, value in body.items() if name not in _STANDARD
    }
    if utf8_size(canonical_of_any_size(outputs)) > OUTPUT_BYTES:
        reason = reason or f"the outputs are longer than {OUTPUT_BYTES} bytes"
        outputs = {}
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return ConfigurationResult.of(
        {
            "id": identifier,
            "state": "failed" if reason or status else "complete",
            "status_code": status,
            "stdout": _tail(stdout, OUTPUT_BYTES),
            "stderr": _tail(stderr, OUTPUT_BYTES),
            "outputs": outputs,
            "percent": None,
            "message": _tail(lines[-1], MESSAGE_BYTES) if lines else "",
            "reason": reason,
        }
    )


def secret_texts(values: Iterable[str]) -> list[str]:
    """Return the texts in secret values, and the lines of those that have several, longest first.

    :param values: JSON.
    """
    texts = {
        part.strip()
        for value in values
        for text in _strings(json.loads(value))
        for part in (text, *text.splitlines())
        if len(part.strip()) >= _SHORTEST_SECRET
    }
    return sorted(texts, key=len, reverse=True)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)
    elif value is not None and not isinstance(value, bool):
        yield value if isinstance(value, str) else json.dumps(value)


def _status_code(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return max(min(number, STATUS_CODE_BOUND - 1), -STATUS_CODE_BOUND)


def _text(value: Any, secrets: Collection[str]) -> str:
    shown = _redacted(value, secrets)
    if isinstance(shown, str):
        return shown
    return "" if shown is None else json.dumps(shown, ensure_ascii=False)


def _redacted(value: Any, secrets: Collection[str]) -> Any:
    """Return a JSON value with ``***`` in place of secrets."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "***")
        return value
    if isinstance(value, dict):
        return {_redacted(name, secrets): _redacted(each, secrets) for name, each in value.items()}
    if isinstance(value, list):
        return [_redacted(each, secrets) for each in value]
    return "***" if json.dumps(value) in secrets else value


def _tail(text: str, limit: int) -> str:
    """Return the end of a text, at most a number of bytes."""
    return text.encode()[-limit:].decode("utf-8", "ignore")
