"""Configurations: software that a member deploys once, in order.

A configuration is a fact at ``configs/<member>/<name>``, so that its member receives it with the
context, and no other member may read it.  The key of a configuration is ``<member>/<name>``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal, get_args

from factstore.core.errors import Conflict, Invalid
from factstore.core.model.fact import Fact
from factstore.core.model.path import RESULTS, check_name, check_path, quoted
from factstore.core.model.permissions import CONFIGS
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey

ConfigurationAction = Literal["CREATE", "UPDATE", "DELETE", "SUSPEND", "RESUME"]
ACTIONS: tuple[ConfigurationAction, ...] = get_args(ConfigurationAction)
OnInterrupt = Literal["fail", "retry"]
ON_INTERRUPT: tuple[OnInterrupt, ...] = get_args(OnInterrupt)

CONFIGURATIONS_PER_STACK = 1000
DEPENDENCIES = 32
OUTPUTS = 100
TIMEOUT_MAX = 24 * 3600
TIMEOUT_DEFAULT = 3600
TRIGGER_LENGTH = 128
RESERVED = "agent"
"""The folder of the agent's own results, so no name of a configuration."""


@quick_dataclass(frozen=True, slots=True)
class ConfigurationOrder(Record):
    """The last sequence number of a stack's configurations.

    Each write of a configuration also writes this record.  So no two writes can make a circle together.
    """

    last: int

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return ORDER_KEY


ORDER_KEY = RecordKey(ConfigurationOrder, "order")


@quick_dataclass(frozen=True, slots=True)
class ConfigurationDefinition:
    """A configuration as its owner describes it.  Create it with :meth:`of`, which checks the limits.

    :param group: the hook that deploys it, such as ``script``.
    :param config: the text that is given to the hook.
    :param inputs: canonical JSON of the values of inputs, by name.
    :param input_facts: the paths of facts whose values are inputs, by name.
    :param outputs: the names of outputs.
    :param depends_on: the keys of configurations that must be complete first.
    :param timeout: seconds.
    :param trigger: any text; a definition with another one runs again.
    """

    group: str
    config: str
    options: str
    inputs: str
    input_facts: tuple[tuple[str, str], ...]
    outputs: tuple[str, ...]
    depends_on: tuple[str, ...]
    action: ConfigurationAction
    on_interrupt: OnInterrupt
    timeout: int
    trigger: str = ""

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> ConfigurationDefinition:
        """Return a checked definition.

        :param body: the fields of JSON, all of them.
        :raises Invalid: ``schema`` or ``path_invalid``.
        """
        check_name(_of_type(body, "group", str), "group")
        inputs, facts = _of_type(body, "inputs", dict), _of_type(body, "input_facts", dict)
        for name, path in facts.items():
            if name in inputs:
                raise _invalid("input_facts", f"input {quoted(name)} has a value in inputs already")
            if not isinstance(path, str):
                raise _invalid("input_facts", f"the path of input {quoted(name)} is not a string")
            check_path(path)
        for field, choices in (("action", ACTIONS), ("on_interrupt", ON_INTERRUPT)):
            if body[field] not in choices:
                raise _invalid(field, f"it must be one of {', '.join(choices)}")
        timeout = body["timeout"]
        if type(timeout) is not int or not 1 <= timeout <= TIMEOUT_MAX:
            raise _invalid("timeout", f"it must be a whole number from 1 to {TIMEOUT_MAX}")
        trigger = body.get("trigger", "")  # definitions that were stored earlier have none
        if not isinstance(trigger, str) or len(trigger) > TRIGGER_LENGTH:
            raise _invalid("trigger", f"it must be a string of at most {TRIGGER_LENGTH} characters")
        depends_on = _names(body, "depends_on", DEPENDENCIES)
        for key in depends_on:
            check_key(key)
        return cls(
            group=body["group"],
            config=_of_type(body, "config", str),
            options=_text(_of_type(body, "options", dict)),
            inputs=_text(inputs),
            input_facts=tuple(sorted(facts.items())),
            outputs=_names(body, "outputs", OUTPUTS),
            depends_on=depends_on,
            action=body["action"],
            on_interrupt=body["on_interrupt"],
            timeout=timeout,
            trigger=trigger,
        )

    @property
    def undeploys(self) -> bool:
        """True if the action removes what was deployed."""
        return self.action == "DELETE"

    @property
    def document(self) -> dict[str, Any]:
        """The fields as JSON."""
        return {
            "group": self.group,
            "config": self.config,
            "options": json.loads(self.options),
            "inputs": json.loads(self.inputs),
            "input_facts": dict(self.input_facts),
            "outputs": list(self.outputs),
            "depends_on": list(self.depends_on),
            "action": self.action,
            "on_interrupt": self.on_interrupt,
            "timeout": self.timeout,
            "trigger": self.trigger,
        }


@quick_dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration of a member.

    :param id: new each time that the definition changes; its result names it.
    :param sequence: the place in the order of the stack's configurations; a change keeps it.
    :param fact: the fact that contains it.
    :param deployed_on: the keys on which depends what former definitions have deployed and this one has
        to replace or remove; None if they have deployed nothing.
    """

    member: str
    name: str
    id: str
    sequence: int
    definition: ConfigurationDefinition
    fact: Fact
    deployed_on: tuple[str, ...] | None = None

    @property
    def key(self) -> str:
        """The member and the name, which other configurations depend on."""
        return f"{self.member}/{self.name}"

    @property
    def document(self) -> dict[str, Any]:
        """The fields that callers see."""
        return {"id": self.id, "sequence": self.sequence, **self.definition.document}

    @classmethod
    def parse(cls, fact: Fact | None) -> Configuration | None:
        """Return the configuration in a fact; None if there is no such fact, or no configuration."""
        if fact is None or fact.path.count("/") != 2:
            return None
        parsed = _parsed(fact.text)
        if parsed is None:
            return None
        _, member, name = fact.path.split("/")
        identifier, sequence, definition, deployed_on = parsed
        return cls(member, name, identifier, sequence, definition, fact, deployed_on)


def config_path(key: str) -> str:
    """Return the path of the fact with a configuration."""
    return f"{CONFIGS}{key}"


def result_path(key: str) -> str:
    """Return the path of the fact with the result of a configuration."""
    return f"{RESULTS}{key}"


def check_key(key: str) -> str:
    """Return the key of a configuration unchanged if it is valid.

    :raises Invalid: ``path_invalid``.
    """
    member, slash, name = key.partition("/")
    if not slash:
        raise Invalid(
            f"{quoted(key)} does not name a configuration: write its member, '/' and its name.",
            code="path_invalid",
        )
    check_name(member, "member")
    check_name(name, "configuration")
    if name == RESERVED:
        raise Invalid(
            f"A configuration cannot be named {RESERVED!r}: results/{member}/{RESERVED} is the folder "
            "of the agent's own results.",
            code="path_invalid",
        )
    return key


def check_no_circle(
    key: str, depends_on: Iterable[str], dependencies: Callable[[str], Sequence[str]]
) -> None:
    """Refuse dependencies that would make a configuration wait for itself.

    :param dependencies: returns the keys that another configuration depends on.
    :raises Conflict: ``configuration_circle``.
    """
    came_from = dict.fromkeys(depends_on, key)
    waiting = list(came_from)
    while waiting:
        at = waiting.pop()
        if at == key:
            raise _circle(key, came_from)
        for each in dependencies(at):
            if each not in came_from:
                came_from[each] = at
                waiting.append(each)


def _circle(key: str, came_from: Mapping[str, str]) -> Conflict:
    keys = [key, at := came_from[key]]
    while at != key:
        keys.append(at := came_from[at])
    keys.reverse()
    steps = ", ".join(f"{one} depends on {other}" for one, other in pairwise(keys))
    return Conflict(
        f"Configuration {quoted(key)} would wait for itself: {steps}. Remove one of these "
        "dependencies.",
        code="configuration_circle",
        extra={"circle": keys},
    )


_Parsed = tuple[str, int, ConfigurationDefinition, tuple[str, ...] | None]


@lru_cache(maxsize=512)
def _parsed(text: str) -> _Parsed | None:
    document = json.loads(text)
    try:
        identifier, sequence = document["id"], document["sequence"]
        if not isinstance(identifier, str) or type(sequence) is not int:
            return None
        deployed_on = document.get("deployed_on")  # facts that were stored earlier do not have it
        if deployed_on is not None:
            deployed_on = tuple(map(check_key, deployed_on))
        return identifier, sequence, ConfigurationDefinition.of(document), deployed_on
    except (Invalid, KeyError, TypeError):  # a fact that somebody else put there
        return None


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _of_type(body: Mapping[str, Any], field: str, kind: type[Any]) -> Any:
    value = body[field]
    if not isinstance(value, kind):
        raise _invalid(field, "it must be " + ("a string" if kind is str else "an object"))
    return value


def _names(body: Mapping[str, Any], field: str, limit: int) -> tuple[str, ...]:
    names = body[field]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _invalid(field, "it must be an array of strings")
    if len(names) > limit:
        raise _invalid(field, f"there are {len(names)}; at most {limit} are allowed")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise _invalid(field, f"{quoted(twice)} is given twice")
    return tuple(names)


def _invalid(field: str, problem: str) -> Invalid:
    return Invalid(f"Field {quoted(field)}: {problem}.", code="schema", extra={"field": field})
