"""Actions: a hook that members run once, now, and the result of each of them.

An action is for the members that had joined when it was created.  Which of them may run at a moment
follows from their order and from the results alone, so that handing on writes nothing and all workers
agree.  The records of an action are on one lease, which deletes all of them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from factstore.core.errors import Invalid
from factstore.core.model.configuration import ConfigurationDefinition
from factstore.core.model.path import check_name, quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey
from factstore.core.model.value import canonical

ActionResultState = Literal["in_progress", "complete", "failed", "lost", "cancelled", "timed_out"]

ACTIONS_PER_STACK = 200
ACTION_MEMBERS_PER_STACK = 5000  # of all actions together, because each can have a result
MAX_PARALLEL = 10_000
TIMEOUT_MAX = 24 * 3600
TIMEOUT_DEFAULT = 600
TTL_MIN = 60
TTL_MAX = 30 * 24 * 3600
TTL_DEFAULT = 24 * 3600


@quick_dataclass(frozen=True, slots=True)
class ActionRequest:
    """A request for an action.  Create it with :meth:`of`, which checks the limits.

    :param definition: canonical JSON of hook, config, options, inputs and input_facts.
    :param member: the only member of the action; None for all members of *group*.
    :param max_parallel: the number of members that may run at the same time; None for all.
    :param timeout: seconds after which runs that have not ended are timed out.
    :param ttl: seconds for which the action is kept after that.
    """

    definition: str
    member: str | None
    group: str | None
    max_parallel: int | None
    timeout: int
    ttl: int

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> ActionRequest:
        """Return a checked request.

        :param body: the fields of JSON, all of them.
        :raises Invalid: ``schema``, ``path_invalid`` or ``json_value``.
        :raises TooLarge: ``value_too_large``.
        """
        member, group = body["member"], body["group"]
        if (member is None) == (group is None):
            raise _invalid("member", "give either a member or a group")
        for name, what in ((body["hook"], "hook"), (member, "member"), (group, "group")):
            if name is not None or what == "hook":
                if not isinstance(name, str):
                    raise _invalid(what, "it must be a string")
                check_name(name, what)
        for name, low, high in (
            ("max_parallel", 1, MAX_PARALLEL),
            ("timeout", 1, TIMEOUT_MAX),
            ("ttl", TTL_MIN, TTL_MAX),
        ):
            number = body[name]
            if number is None and name == "max_parallel":
                continue
            if type(number) is not int or not low <= number <= high:
                raise _invalid(name, f"it must be a whole number from {low} to {high}")
        # What a hook gets is checked in one place.
        checked = ConfigurationDefinition.of(
            {
                **{name: body[name] for name in ("config", "options", "inputs", "input_facts")},
                "group": body["hook"],
                "outputs": [],
                "depends_on": [],
                "action": "CREATE",
                "on_interrupt": "fail",
                "timeout": body["timeout"],
            }
        ).document
        names = ("config", "options", "inputs", "input_facts")
        definition = {"hook": body["hook"], **{name: checked[name] for name in names}}
        return cls(
            canonical(definition),
            member,
            group,
            body["max_parallel"],
            body["timeout"],
            body["ttl"],
        )


@quick_dataclass(frozen=True, slots=True)
class Action(Record):
    """An action.

    :param definition: canonical JSON of hook, config, options, inputs and input_facts.
    :param members: the names of its members with their generations, in the order in which they run.
    :param cancelled_at: the instant at which it was cancelled; None if it was not.
    :param lease: that of its results, too.
    """

    id: str
    definition: str = field(repr=False)
    member: str | None
    group: str | None
    members: tuple[tuple[str, str], ...] = field(repr=False)
    max_parallel: int | None
    timeout: int
    ttl: int
    created_at: str
    created_by: str
    request_id: str
    cancelled_at: str | None = None

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return RecordKey(Action, self.id)

    @property
    def size(self) -> int:
        """The bytes that count towards quotas."""
        return len(self.definition.encode()) + sum(len(name) for name, _ in self.members)


@quick_dataclass(frozen=True, slots=True)
class ActionTimer(Record):
    """A record that expires with the timeout of an action.

    It is attached to a lease, so that all workers see the expiry at the same revision.
    """

    action: str

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return RecordKey(ActionTimer, self.action)


@quick_dataclass(frozen=True, slots=True)
class ActionResult(Record):
    """The result of one member's run, or its progress.

    :param state: ``lost`` if the member ended before it reported an end.  A run that failed after the
        action was cancelled, or after its timeout, has the state ``cancelled`` or ``timed_out``.
    :param outputs: canonical JSON of the outputs, by name.
    :param started_at: the instant of the first report, by the clock of the service; None if a lost
        member had not reported anything.
    :param ended_at: the instant at which the end was reported; None before.
    """

    action: str
    member: str
    state: ActionResultState
    status_code: int | None
    percent: int | None
    message: str
    reason: str
    stdout: str = field(repr=False)
    stderr: str = field(repr=False)
    outputs: str = field(repr=False)
    started_at: str | None
    ended_at: str | None
    request_id: str

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return action_result_key(self.action, self.member)

    @property
    def size(self) -> int:
        """The bytes that count towards quotas."""
        texts = (self.message, self.reason, self.stdout, self.stderr, self.outputs)
        return sum(len(text.encode()) for text in texts)

    @property
    def is_item(self) -> bool:
        """False: only the action counts as a fact."""
        return False

    @property
    def ended(self) -> bool:
        """True if the run is over."""
        return self.state != "in_progress"


def action_key(action: str) -> RecordKey:
    """Return the key of an action."""
    return RecordKey(Action, action)


def action_result_key(action: str, member: str) -> RecordKey:
    """Return the key of the result of a member."""
    return RecordKey(ActionResult, f"{action}/{member}")


def _invalid(field_name: str, problem: str) -> Invalid:
    return Invalid(
        f"Field {quoted(field_name)}: {problem}.", code="schema", extra={"field": field_name}
    )
