"""An alarm's definition: its condition, its times, and its state without data.

Two definitions that differ only in whether defaults are written out have the same
:attr:`AlarmDefinition.text`.
"""

from __future__ import annotations

import json
from typing import Any, Literal, get_args

from factstore.core.model.alarm import SECONDS_MAX
from factstore.core.model.condition import (
    A_CONDITION,
    NOT_IN_ALARM,
    Condition,
    condition_document,
    parse_condition,
)
from factstore.core.model.condition_parser import check_members, kind_of, read_number, refusal
from factstore.core.model.definition import check_size
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.value import encode

NoData = Literal["keep", "ok", "alarm", "no_data"]
NO_DATA: tuple[NoData, ...] = get_args(NoData)


@quick_dataclass(frozen=True, slots=True)
class AlarmDefinition:
    """The definition of an alarm.

    :param seconds: for which the condition must have changed before the state does.
    :param quiet: seconds after a change of the state in which it does not change again.
    :param repeat: seconds between repetitions while the alarm is raised; 0 for none.
    :param no_data: the state of an alarm whose condition has no data.
    """

    condition: Condition
    seconds: int = 0
    quiet: int = 0
    repeat: int = 0
    no_data: NoData = "keep"

    @classmethod
    def of(cls, document: dict[str, Any]) -> AlarmDefinition:
        """Return the definition in a parsed JSON document.

        :raises Invalid: ``condition_invalid``, with the position in ``extra['field']``, which is empty
            for the document as a whole.
        """
        check_members(document, "", {"condition", "for", "quiet", "repeat", "no_data"})
        if "condition" not in document:
            raise refusal("condition", f"it is missing; give {A_CONDITION}")
        no_data = document.get("no_data", "keep")
        if no_data not in NO_DATA:
            raise refusal("no_data", f"it is {kind_of(no_data)}; give one of {', '.join(NO_DATA)}")
        condition = parse_condition(document["condition"], "condition", NOT_IN_ALARM)
        seconds, quiet, repeat = (
            read_number(document, name, "", 0, SECONDS_MAX, 0)
            for name in ("for", "quiet", "repeat")
        )
        definition = cls(condition, seconds, quiet, repeat, no_data)
        check_size((condition,), definition.text, "the condition has")
        return definition

    @classmethod
    def parse(cls, text: str) -> AlarmDefinition:
        """Return the definition that has a :attr:`text`."""
        return cls.of(json.loads(text))

    @property
    def text(self) -> str:
        """The canonical JSON with all defaults written out."""
        return encode(
            {
                "condition": condition_document(self.condition),
                "for": self.seconds,
                "quiet": self.quiet,
                "repeat": self.repeat,
                "no_data": self.no_data,
            }
        )
