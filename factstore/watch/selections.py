"""The selections of stacks that are read, and which channels each of them includes.

A selection keeps the channels of its stacks in the order of their newest events.  So a reader finds
what is new without a look at the other stacks, however many they are.

The hub holds its lock whenever it uses them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from factstore.core.model.fact import Scope
from factstore.core.model.stack_selection import StackSelection
from factstore.watch.channel import Channel, Selected
from factstore.watch.floors import Floors

IDLE_SELECTIONS = (
    64  # selections without readers that are kept, because a poll is followed by another
)


class Selections:
    """The selections of all projects.

    :ivar all: those that are known; the one that was read last comes last.
    """

    def __init__(self) -> None:
        self.all: dict[StackSelection, Selected] = {}
        self._by_project: dict[str | None, dict[StackSelection, Selected]] = {}
        self._channels: dict[str, dict[Scope, Channel]] = {}  # those with events, by project
        self._forget_at = 2 * IDLE_SELECTIONS

    def find(self, selection: StackSelection, floors: Floors) -> Selected:
        """Return a selection's channels, which are collected if the selection is new."""
        selected = self.all.pop(selection, None)
        if selected is None:
            self._forget_idle()
            selected = self._create(selection, floors.of_selection(selection))
        self.all[selection] = selected
        return selected

    def _create(self, selection: StackSelection, floor: int) -> Selected:
        selected = Selected(selection, floor)
        self._by_project.setdefault(selection.project_id, {})[selection] = selected
        found: Iterable[dict[Scope, Channel]] = self._channels.values()
        if selection.project_id is not None:
            found = (self._channels.get(selection.project_id, {}),)
        matching = [
            (scope, channel)
            for channels in found
            for scope, channel in channels.items()
            if selection.patterns.matches(scope.stack)
        ]
        for scope, channel in sorted(matching, key=lambda each: each[1].last_event):
            selected.add(scope, channel)
            channel.selected = (*channel.selected, selected)
        return selected

    def _forget_idle(self) -> None:
        """Delete idle selections, those that were read longest ago first, many at a time."""
        if len(self.all) < self._forget_at:
            return
        idle = [selection for selection, found in self.all.items() if not found.readers]
        for selection in idle[:-IDLE_SELECTIONS]:
            selected = self.all.pop(selection)
            siblings = self._by_project[selection.project_id]
            del siblings[selection]
            if not siblings:
                del self._by_project[selection.project_id]
            for channel in selected.channels.values():
                channel.selected = tuple(each for each in channel.selected if each is not selected)
        self._forget_at = len(self.all) + IDLE_SELECTIONS

    def add(self, scope: Scope, channel: Channel) -> Collection[Selected]:
        """Record that a stack has a new event; return the selections that include the stack."""
        if channel.count == 1:
            self._add_stack(scope, channel)
        for selected in channel.selected:
            selected.add(scope, channel)
        return channel.selected

    def _add_stack(self, scope: Scope, channel: Channel) -> None:
        """Find the selections that include a stack, which has events from now on."""
        self._channels.setdefault(scope.project_id, {})[scope] = channel
        channel.selected = tuple(
            selected
            for project_id in (scope.project_id, None)
            for selected in self._by_project.get(project_id, {}).values()
            if selected.selection.patterns.matches(scope.stack)
        )

    def collect(self, channels: Mapping[Scope, Channel], floors: Floors) -> None:
        """Find the stacks of all selections again, because older events were added."""
        found = sorted(
            (each for each in channels.items() if each[1].count),
            key=lambda each: each[1].last_event,
        )
        self._channels.clear()
        for selection, selected in self.all.items():
            selected.channels.clear()
            selected.floor = floors.of_selection(selection)
        for scope, channel in found:
            self._add_stack(scope, channel)
            for selected in channel.selected:
                selected.add(scope, channel)

    def dropped(self, scope: Scope, channel: Channel, revision: int) -> None:
        """Record that the event of a revision was dropped from a channel."""
        for selected in channel.selected:
            selected.floor = max(selected.floor, revision)
        if not channel.count:
            for selected in channel.selected:
                del selected.channels[scope]
            channel.selected = ()
            channels = self._channels[scope.project_id]
            del channels[scope]
            if not channels:
                del self._channels[scope.project_id]

    def clear(self) -> None:
        """Forget all selections and channels."""
        self.all.clear()
        self._by_project.clear()
        self._channels.clear()
        self._forget_at = 2 * IDLE_SELECTIONS
