"""A waiter's definition: its conditions and its timeout.

:meth:`Definition.of` parses a definition strictly.  Two definitions that differ only in whether
defaults are written out have the same :attr:`Definition.text`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from factstore.core.model.condition import (
    A_CONDITION,
    NOT_IN_FAILURE,
    NOT_IN_SUCCESS,
    Condition,
    Leaf,
    condition_document,
    leaves,
    parse_condition,
)
from factstore.core.model.condition_parser import (
    check_members,
    read_boolean,
    read_number,
    refusal,
)
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.value import encode
from factstore.core.model.waiter import TIMEOUT_DEFAULT, TIMEOUT_MAX, TIMEOUT_MIN

LEAVES = 16  # conditions without parts, of success and failure together
FIELDS = ("success", "failure", "timeout", "extend_on_progress", "fail_when_stuck")
DEFINITION_BYTES = 16 * 1024  # of canonical JSON


@quick_dataclass(frozen=True, slots=True)
class Definition:
    """The conditions that make a waiter met or failed, and its timeout.

    :param timeout: seconds.
    :param extend_on_progress: True if progress restarts the timeout.
    :param fail_when_stuck: the seconds after which the waiter fails if it cannot be met because members
        wait for each other, or for what will not come; None if it does not fail because of that.
    """

    success: Condition
    failure: Condition | None = None
    timeout: int = TIMEOUT_DEFAULT
    extend_on_progress: bool = False
    fail_when_stuck: int | None = None

    @classmethod
    def of(cls, document: Any) -> Definition:
        """Return the definition in a parsed JSON document.

        :raises Invalid: ``condition_invalid``, with the position in ``extra['field']``, which is empty
            for the document as a whole.
        """
        check_members(document, "", set(FIELDS))
        if "success" not in document:
            raise refusal("success", f"it is missing; give {A_CONDITION}")
        failure = document.get("failure")
        definition = cls(
            parse_condition(document["success"], "success", NOT_IN_SUCCESS),
            None if failure is None else parse_condition(failure, "failure", NOT_IN_FAILURE),
            read_number(document, "timeout", "", TIMEOUT_MIN, TIMEOUT_MAX, TIMEOUT_DEFAULT),
            read_boolean(document, "extend_on_progress", ""),
            _read_fail_when_stuck(document),
        )
        conditions = (definition.success, definition.failure)
        check_size(
            [each for each in conditions if each], definition.text, "success and failure have"
        )
        return definition

    @classmethod
    def parse(cls, text: str) -> Definition:
        """Return the definition that has a :attr:`text`."""
        return cls.of(json.loads(text))

    def leaves(self) -> Iterator[Leaf]:
        """Yield the conditions without parts, in order."""
        for condition in (self.success, self.failure):
            if condition is not None:
                yield from leaves(condition)

    @property
    def text(self) -> str:
        """The canonical JSON with all defaults written out."""
        document = {
            "success": condition_document(self.success),
            "failure": None if self.failure is None else condition_document(self.failure),
            "timeout": self.timeout,
            "extend_on_progress": self.extend_on_progress,
        }
        if self.fail_when_stuck is not None:  # definitions of earlier versions keep their text
            document["fail_when_stuck"] = self.fail_when_stuck
        return encode(document)


def _read_fail_when_stuck(document: Any) -> int | None:
    if document.get("fail_when_stuck") is None:
        return None
    return read_number(document, "fail_when_stuck", "", 1, TIMEOUT_MAX)


def check_size(conditions: Iterable[Condition], text: str, they_have: str) -> None:
    """Raise Invalid if a definition has too many conditions, or too long a text."""
    total = sum(1 for condition in conditions for _ in leaves(condition))
    if total > LEAVES:
        raise refusal(
            "",
            f"{they_have} {total} conditions, not counting all and any; at most {LEAVES} are allowed",
        )
    size = len(text.encode())
    if size > DEFINITION_BYTES:
        raise refusal(
            "", f"it is {size} bytes as canonical JSON; at most {DEFINITION_BYTES} are allowed"
        )
