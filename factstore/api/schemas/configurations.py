"""Shapes of configurations."""

from __future__ import annotations

from typing import Any, ClassVar

import marshmallow as ma
from marshmallow import fields

from factstore.api.schemas.base import Schema
from factstore.api.schemas.field_types import (
    OneOf,
    consistency_parameter,
    description,
    integer_field,
    revision_field,
    string_parameter,
    timestamp_field,
    wait_parameter,
)
from factstore.core.model.configuration import (
    ACTIONS,
    DEPENDENCIES,
    ON_INTERRUPT,
    OUTPUTS,
    TIMEOUT_DEFAULT,
    TIMEOUT_MAX,
    TRIGGER_LENGTH,
)
from factstore.core.model.configuration_result import (
    MESSAGE_BYTES,
    OUTPUT_BYTES,
    RESULT_STATES,
    STATUS_CODE_BOUND,
)
from factstore.core.model.path import SEGMENT_PATTERN
from factstore.core.state.configuration_view import CONFIGURATION_STATES

# Queries

ID_PATTERN = "[0-9a-f]{32}"


class ConfigurationQuery(Schema):
    """Showing configurations."""

    wait = wait_parameter()
    consistency = consistency_parameter()


class SignalQuery(Schema):
    """Signalling the result of a configuration."""

    id = string_parameter(
        ID_PATTERN, "The id of the configuration that ran; the present one by default."
    )


# Bodies


def _raw(kind: str, default: Any, text: str, **metadata: Any) -> fields.Raw:
    """Return a field that the domain checks."""
    return fields.Raw(load_default=default, **description(text, type=kind, **metadata))


def _names(text: str, limit: int) -> fields.Raw:
    items = {"type": "string"}
    return _raw("array", list, text, items=items, maxItems=limit, uniqueItems=True)


def configuration_fields() -> tuple[fields.Raw, fields.Raw, fields.Raw, fields.Raw]:
    """Return the fields of what a hook gets: config, options, inputs and input_facts."""
    return (
        _raw("string", "", "The text that is given to the hook, such as a script."),
        _raw("object", dict, "Options of the hook."),
        _raw("object", dict, "The values of inputs, by name."),
        _raw(
            "object",
            dict,
            "The paths of facts whose values are inputs, by name. Secrets are sensitive facts.",
            additionalProperties={"type": "string"},
        ),
    )


class ConfigurationBody(Schema):
    """A configuration to create or to change."""

    example: ClassVar[dict[str, Any]] = {
        "group": "script",
        "config": "#!/bin/sh\necho deployed\n",
        "depends_on": ["head/database"],
    }

    group = fields.Raw(
        required=True,
        **description(
            "The hook that deploys the configuration, such as script.",
            type="string",
            pattern=f"^{SEGMENT_PATTERN}$",
            example="script",
        ),
    )
    config, options, inputs, input_facts = configuration_fields()
    outputs = _names("The names of outputs that the hook reports.", OUTPUTS)
    depends_on = _names(
        "The configurations that must be complete first, each as its member, a slash and its name.",
        DEPENDENCIES,
    )
    action = _raw("string", "CREATE", "The action of the hook.", enum=list(ACTIONS))
    on_interrupt = _raw(
        "string",
        "fail",
        "Whether a run that was interrupted has failed or is repeated.",
        enum=list(ON_INTERRUPT),
    )
    timeout = integer_field("Seconds after which the run fails.", 1, TIMEOUT_MAX, TIMEOUT_DEFAULT)
    trigger = _raw(
        "string",
        "",
        "Any text, such as a version. A configuration with another one runs again.",
        maxLength=TRIGGER_LENGTH,
    )


def _output(text: str) -> fields.Raw:
    return _raw("string", "", f"{text} At most {OUTPUT_BYTES} bytes.")


class ResultBody(Schema):
    """The result of a configuration, or its progress."""

    example: ClassVar[dict[str, Any]] = {"id": "0" * 32, "state": "complete", "status_code": 0}

    id = fields.Raw(
        required=True,
        **description("The id of the configuration that ran.", type="string", example="0" * 32),
    )
    state = fields.Raw(
        required=True,
        **description(
            "The state of the run.", type="string", enum=list(RESULT_STATES), example="complete"
        ),
    )
    status_code = _raw(
        "integer",
        None,
        "The status of the hook.",
        nullable=True,
        minimum=-STATUS_CODE_BOUND,
        maximum=STATUS_CODE_BOUND - 1,
    )
    stdout = _output("The end of the standard output.")
    stderr = _output("The end of the standard error.")
    outputs = _raw("object", dict, f"The outputs, by name. At most {OUTPUT_BYTES} bytes of JSON.")
    percent = _raw("integer", None, "The progress.", nullable=True, minimum=0, maximum=100)
    message = _raw("string", "", f"The last line of output. At most {MESSAGE_BYTES} bytes.")
    reason = _raw("string", "", f"The reason of a failure. At most {MESSAGE_BYTES} bytes.")


class HookSignal(Schema):
    """The result of a hook of heat-agents: these fields, and an output in each other one."""

    example: ClassVar[dict[str, Any]] = {
        "deploy_stdout": "",
        "deploy_stderr": "",
        "deploy_status_code": 0,
        "url": "http://10.0.0.5/",
    }

    class Meta:
        unknown = ma.INCLUDE

    deploy_stdout = fields.Raw(**description("The standard output. Its end is stored."))
    deploy_stderr = fields.Raw(**description("The standard error. Its end is stored."))
    deploy_status_code = fields.Raw(
        **description("The status, as a number or a text. The hook has failed if it is not 0.")
    )


# Responses


class ResultSummary(Schema):
    """A result in a list."""

    state = fields.String(required=True, validate=OneOf(RESULT_STATES))
    status_code = fields.Integer(required=True, allow_none=True)
    outputs = fields.Dict(required=True)
    percent = fields.Integer(required=True, allow_none=True)
    message = fields.String(required=True)
    reason = fields.String(required=True)
    started_at = timestamp_field()
    ended_at = fields.String(required=True, allow_none=True, metadata={"format": "date-time"})
    revision = revision_field()


class Result(ResultSummary):
    """A result."""

    stdout = fields.String(required=True)
    stderr = fields.String(required=True)


class ConfigurationSummary(Schema):
    """A configuration in a list."""

    member = fields.String(required=True)
    name = fields.String(required=True)
    id = fields.String(required=True)
    sequence = fields.Integer(required=True)
    group = fields.String(required=True)
    outputs = fields.List(fields.String(), required=True)
    depends_on = fields.List(fields.String(), required=True)
    action = fields.String(required=True, validate=OneOf(ACTIONS))
    on_interrupt = fields.String(required=True, validate=OneOf(ON_INTERRUPT))
    timeout = fields.Integer(required=True)
    state = fields.String(required=True, validate=OneOf(CONFIGURATION_STATES))
    waits_for = fields.List(fields.String(), required=True)
    deployed = fields.Boolean(
        required=True,
        **description(
            "True if this definition or a former one was begun, and has not been undeployed."
        ),
    )
    result = fields.Nested(ResultSummary, required=True, allow_none=True)
    revision = revision_field()
    created_at = timestamp_field()
    updated_at = timestamp_field()
    updated_by = fields.String(required=True)


class Configuration(ConfigurationSummary):
    """A configuration."""

    config = fields.String(required=True)
    options = fields.Dict(required=True)
    inputs = fields.Dict(required=True)
    input_facts = fields.Dict(required=True)
    trigger = fields.String(required=True)
    result = fields.Nested(Result, required=True, allow_none=True)


class ConfigurationList(Schema):
    """Configurations in their order."""

    configurations = fields.List(fields.Nested(ConfigurationSummary), required=True)
