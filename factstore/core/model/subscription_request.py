"""The definition of a subscription by its owner, checked."""

from __future__ import annotations

from collections.abc import Sequence

from factstore.core.errors import Invalid
from factstore.core.model.event import CHANGE_TYPES
from factstore.core.model.path import check_name, check_path, quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.stack_patterns import StackPatterns
from factstore.core.model.subscription import (
    FILTERS,
    MAX_DELAY,
    MAX_EVENTS,
    NAME_LENGTH,
    ROTATION_MAX,
)
from factstore.core.model.target import Target
from factstore.core.model.target_rules import TargetRules


@quick_dataclass(frozen=True, slots=True)
class SubscriptionChanges:
    """Changes of a subscription; None for what stays.  Create it with :meth:`of`, which checks it.

    :param paused: True to pause the delivery, False to resume it.
    """

    name: str | None = None
    stacks: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    prefixes: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    alarms: tuple[str, ...] | None = None
    max_events: int | None = None
    max_delay: int | None = None
    paused: bool | None = None

    @classmethod
    def of(
        cls,
        *,
        name: str | None = None,
        stacks: Sequence[str] | None = None,
        types: Sequence[str] | None = None,
        prefixes: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
        alarms: Sequence[str] | None = None,
        max_events: int | None = None,
        max_delay: int | None = None,
        paused: bool | None = None,
    ) -> SubscriptionChanges:
        """Return checked changes.

        :raises Invalid: ``schema`` or ``path_invalid``.
        """
        if name is not None and not (len(name) <= NAME_LENGTH and name.isprintable()):
            raise _invalid("name", f"must be at most {NAME_LENGTH} printable characters")
        for kind in types or ():
            if kind not in CHANGE_TYPES:
                raise _invalid(
                    "types", f"contains {quoted(kind)}; the types are {', '.join(CHANGE_TYPES)}"
                )
        for prefix in prefixes or ():
            check_path(prefix, what="prefix")
        for group in groups or ():
            check_name(group, "group")
        for alarm in alarms or ():
            check_name(alarm, "alarm")
        for number, field, low, high in (
            (max_events, "max_events", 1, MAX_EVENTS),
            (max_delay, "max_delay", 0, MAX_DELAY),
        ):
            if number is not None and not low <= number <= high:
                raise _invalid(field, f"must be a whole number from {low} to {high}")
        return cls(
            name=name,
            stacks=None if stacks is None else StackPatterns.of(stacks).texts,
            types=_unique("types", types),
            prefixes=_unique("prefixes", prefixes),
            groups=_unique("groups", groups),
            alarms=_unique("alarms", alarms),
            max_events=max_events,
            max_delay=max_delay,
            paused=paused,
        )


@quick_dataclass(frozen=True, slots=True)
class SubscriptionRequest:
    """A request for a new subscription.  Create it with :meth:`of`, which checks it."""

    target: Target
    name: str
    stacks: tuple[str, ...]
    types: tuple[str, ...]
    prefixes: tuple[str, ...]
    groups: tuple[str, ...]
    alarms: tuple[str, ...]
    max_events: int
    max_delay: int

    @classmethod
    def of(
        cls,
        target: str,
        rules: TargetRules,
        *,
        name: str = "",
        stacks: Sequence[str] = (),
        types: Sequence[str] = (),
        prefixes: Sequence[str] = (),
        groups: Sequence[str] = (),
        alarms: Sequence[str] = (),
        max_events: int = 1,
        max_delay: int = 0,
    ) -> SubscriptionRequest:
        """Return a checked request.

        :raises Invalid: ``schema``, ``path_invalid`` or ``target_invalid``.
        """
        checked = SubscriptionChanges.of(
            name=name,
            stacks=stacks,
            types=types,
            prefixes=prefixes,
            groups=groups,
            alarms=alarms,
            max_events=max_events,
            max_delay=max_delay,
        )
        return cls(
            rules.parse(target),
            name,
            checked.stacks or (),
            checked.types or (),
            checked.prefixes or (),
            checked.groups or (),
            checked.alarms or (),
            max_events,
            max_delay,
        )


def check_overlap(overlap: int) -> int:
    """Return the seconds for which two secrets are valid, unchanged.

    :raises Invalid: ``schema``.
    """
    if not 0 <= overlap <= ROTATION_MAX:
        raise _invalid("overlap", f"must be a whole number of seconds from 0 to {ROTATION_MAX}")
    return overlap


def _unique(field: str, values: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return values ordered and without duplicates."""
    if values is None:
        return None
    if len(values) > FILTERS:
        raise _invalid(field, f"has {len(values)} values; at most {FILTERS} are allowed")
    return tuple(sorted(set(values)))


def _invalid(field: str, problem: str) -> Invalid:
    return Invalid(f"Field {quoted(field)} {problem}.", code="schema", extra={"field": field})
