"""The protocol of heat-agents' hooks: JSON on stdin, and JSON on stdout.

The hook gets the configuration with its inputs.  It prints ``deploy_stdout``, ``deploy_stderr`` and
``deploy_status_code``, and its outputs beside them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from math import isfinite
from typing import Any

from factstore.agent.apply.sensitive_facts import redacted, without_cut_secret
from factstore.client import ConfigurationRecord

OUTPUT_BYTES = 16 * 1024
MESSAGE_BYTES = 1024
_STANDARD = ("deploy_stdout", "deploy_stderr", "deploy_status_code")


def hook_input(configuration: ConfigurationRecord, stack: str, facts: Mapping[str, Any]) -> bytes:
    """Return the input of a hook.

    :param facts: the values of the inputs that are facts, by the inputs' names.
    """
    standard = {
        "deploy_server_id": configuration.member,
        "deploy_action": configuration.action,
        "deploy_stack_id": stack,
        "deploy_resource_name": configuration.name,
        "deploy_signal_transport": "NO_SIGNAL",
    }
    inputs = {**configuration.inputs, **facts, **standard}
    document = {
        "id": configuration.id,
        "name": configuration.name,
        "group": configuration.group,
        "config": configuration.config,
        "creation_time": configuration.updated_at,  # the hook for Puppet names its logs by it
        "options": dict(configuration.options),
        "inputs": [
            {"name": name, "type": _type(value), "value": _value(value)}
            for name, value in inputs.items()
        ],
        "outputs": [{"name": name, "type": "String"} for name in configuration.outputs],
    }
    return json.dumps(document).encode()


def _type(value: Any) -> str:
    return "Json" if isinstance(value, (dict, list)) else "String"


def _value(value: Any) -> Any:
    # The hooks set environment variables, which have to be strings; they convert objects and lists.
    return value if isinstance(value, (str, dict, list)) else json.dumps(value)


def hook_result(
    end: Mapping[str, Any], stdout: bytes, stderr: bytes, secrets: Iterable[str]
) -> dict[str, Any]:
    """Return the result to report.

    :param end: the status of the hook, and why it was ended.
    :param secrets: texts that are replaced, the longest first.
    """
    secrets = list(secrets)
    found, reason = _printed(stdout), ""
    failure, status = end.get("failure"), end.get("status")

    def raw(output: bytes) -> str:
        text = output.decode("utf-8", "replace")
        return without_cut_secret(text, secrets) if failure is not None else text

    if failure is not None:
        reason = f"the hook {failure}"
    elif status:
        reason = f"the hook exited with status {status}"
    elif found is None:
        reason = "the hook printed no JSON object, which hooks of heat-agents print"
    printed = found or {"deploy_stdout": raw(stdout)}
    log = printed.get("deploy_stderr")
    log = raw(stderr) if log is None else log
    code = _status_code(printed.get("deploy_status_code"), status)
    try:
        outputs = {name: value for name, value in printed.items() if name not in _STANDARD}
        outputs = _plain(outputs, secrets)
        if len(json.dumps(outputs, ensure_ascii=False).encode()) > OUTPUT_BYTES:
            reason = reason or f"the outputs are longer than {OUTPUT_BYTES} bytes"
            outputs = {}
    except RecursionError:
        reason, outputs = reason or "the outputs are nested too deeply", {}
    return {
        "state": "failed" if reason or code else "complete",
        "status_code": code,
        "stdout": tail(_text(printed.get("deploy_stdout"), secrets), OUTPUT_BYTES),
        "stderr": tail(_text(log, secrets), OUTPUT_BYTES),
        "outputs": outputs,
        "message": last_line(_text(log, secrets)),
        "reason": reason[:MESSAGE_BYTES],
    }


def withheld(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result without what the hook has printed, which may contain unknown secrets."""
    message = "the output is withheld: a fact of input_facts changed while the agent was restarted"
    return {**result, "stdout": "", "stderr": "", "outputs": {}, "message": message}


def _printed(stdout: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(stdout)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _status_code(printed: Any, status: Any) -> int | None:
    for value in (printed, status):
        try:
            number = int(value)
        except (OverflowError, TypeError, ValueError):
            continue
        return max(min(number, 2**31 - 1), -(2**31))
    return None


def _plain(value: Any, secrets: Collection[str]) -> Any:
    """Return a value as the service stores it, with ``***`` in place of secrets.

    Secrets are replaced in each text and number: in JSON, secrets are escaped, or parts of its syntax.
    """
    if isinstance(value, str):
        return clean(redacted(value, secrets))
    if isinstance(value, dict):
        return {
            clean(redacted(name, secrets)): _plain(each, secrets) for name, each in value.items()
        }
    if isinstance(value, list):
        return [_plain(each, secrets) for each in value]
    if value is None or isinstance(value, bool):
        return value
    text = json.dumps(value)
    shown = redacted(text, secrets)
    infinite = isinstance(value, float) and not isfinite(value)
    return shown if infinite or shown != text else value


def _text(value: Any, secrets: Collection[str]) -> str:
    if isinstance(value, str):
        return redacted(value, secrets)
    try:
        return "" if value is None else json.dumps(_plain(value, secrets))
    except RecursionError:
        return ""


def clean(text: str) -> str:
    """Return a text without NUL and without halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def tail(text: str, limit: int) -> str:
    """Return the end of a text, at most a number of bytes."""
    return clean(text).encode()[-limit:].decode("utf-8", "ignore")


def last_line(text: str) -> str:
    """Return the last line that is not empty, or its end."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return tail(lines[-1], MESSAGE_BYTES) if lines else ""
