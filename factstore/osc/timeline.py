"""The command that shows when members ran configurations and actions."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from cliff import columns

from factstore.client import TimelineEntry
from factstore.client.timeline import moment
from factstore.osc.arguments import add_stack
from factstore.osc.display import Lister, ShortText

_COLUMNS = ("Member", "Name", "Kind", "State", "Start", "Seconds", "Timeline", "Message")
BAR = 30  # characters


class _Bar(columns.FormattableColumn[Any]):
    """The place of a run in the time from the first start to the last known moment."""

    def human_readable(self) -> str:
        """Return a bar for a table; empty if the run has not started."""
        span = self._value
        if span is None:
            return ""
        begin, end, total = span["begin"], span["end"], span["total"] or 1.0
        first = min(int(BAR * begin / total), BAR - 1)
        last = BAR if end is None else max(int(BAR * end / total), first + 1)
        return "." * first + ("#" if end is not None else "~") * (last - first) + "." * (BAR - last)

    def machine_readable(self) -> Any:
        """Return the seconds from the first start of all to the begin and the end of the run."""
        if self._value is None:
            return None
        return {name: self._value[name] for name in ("begin", "end")}


class ShowTimeline(Lister):
    """List when each member ran its configurations and actions

    The runs of a member are in the order of their starts; those that have not started come last. In a
    table, the bar of a run that has not ended consists of ~.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument(
            "--member", metavar="<member>", help="List only the runs of this member"
        )
        parser.add_argument(
            "--no-actions", action="store_true", help="List only configurations, not actions"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], Iterator[Any]]:
        """Return the runs."""
        entries = self.stack(parsed_args).timeline(
            parsed_args.member, actions=not parsed_args.no_actions
        )
        return _COLUMNS, _rows(entries)


def _rows(entries: Sequence[TimelineEntry]) -> Iterator[tuple[Any, ...]]:
    known = [moment(e) for each in entries for e in (each.started_at, each.ended_at) if e]
    first, last = min(known, default=None), max(known, default=None)
    for each in entries:
        span = None
        if each.started_at is not None and first is not None and last is not None:
            end = moment(each.ended_at) if each.ended_at else None
            span = {
                "begin": (moment(each.started_at) - first).total_seconds(),
                "end": (end - first).total_seconds() if end else None,
                "total": (last - first).total_seconds(),
            }
        seconds = None if each.seconds is None else round(each.seconds, 3)
        yield (
            *(each.member, each.name, each.kind, each.state, each.started_at, seconds),
            _Bar(span),
            ShortText(each.message),
        )
