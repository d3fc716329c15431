"""Recording of the parts of a context that a template reads.

A template gets dictionaries that record each access: the keys that are read, missing keys as well,
because the file changes when they appear, and the folders whose names are listed.  What is read of each
child of a listed folder is recorded with ``*``, so that the read set stays the same when nodes join.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from factstore.agent.apply.recorded_dict import MISSING, Reader, RecordedDict
from factstore.agent.config.reads import ANY, ANY_LISTED, EVERYTHING, Reads

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,127}|\*")
_DEPTH, _LENGTH, _STARS = 16, 512, 4
_SIMILAR = 4
"""So many children of a listed folder, of which the same is read, are recorded with ``*``."""


class Recorder:
    """A record of everything that was read so far.

    :ivar templates: the template files that were loaded.
    :ivar prepared: a document, and what was made of it for templates.
    """

    def __init__(self) -> None:
        self.templates: set[Path] = set()
        self.prepared: tuple[Mapping[str, Any], dict[str, Any]] | None = None
        self._added = Reads()
        self._facts: set[tuple[str, ...]] = set()
        self._listed: set[tuple[str, ...]] = set()
        self._folders: set[tuple[str, ...]] = set()
        self._existing: set[tuple[str, ...]] = set()
        self.members: set[str] = set()
        self.groups: set[str] = set()

    def add(self, reads: Reads) -> None:
        """Add what is known to be read."""
        self._added |= reads

    def wrap(self, name: str, value: Any, document: Mapping[str, Any]) -> Any:
        """Return a part of a context, which records what is read of it.

        :param name: of the part; empty for the whole document.
        """
        if not isinstance(value, dict):
            return value
        if name == "facts":
            return RecordedDict(value, _Facts(self, ()))
        if name == "members":
            return RecordedDict(value, _Members(self))
        if name == "peers":
            return RecordedDict(value, _Peers(self))
        if name == "self":
            return RecordedDict(value, _Peer(self, value["name"]))
        if name == "sensitive":
            return RecordedDict(value, _Tags(self))
        if not name:
            return RecordedDict(value, _Whole(self, document))
        self.add(EVERYTHING)
        return value

    def fact(self, path: tuple[str, ...], *, exists: bool = True) -> None:
        """Record that a fact was read, or that it is missing."""
        self._facts.add(path)
        if exists:
            self._exist(path)

    def listing(self, path: tuple[str, ...]) -> None:
        """Record that the names in a folder were read."""
        self._listed.add(path)
        self._exist(path)

    def folder(self, path: tuple[str, ...]) -> None:
        """Record that a folder exists, which matters if nothing in it is read."""
        if ANY not in path:  # the folder above is listed
            self._folders.add(path)

    def _exist(self, path: tuple[str, ...]) -> None:
        self._existing.update(path[:count] for count in range(len(path)))

    def reads(self) -> Reads:
        """Return what was read."""
        facts = {_pattern(path) for path in self._similar_merged()}
        listings = self._listed | (self._folders - self._existing)
        facts |= {_listing(path) for path in listings}
        return self._added | Reads(
            frozenset(facts), frozenset(self.members), frozenset(self.groups)
        )

    def _similar_merged(self) -> Iterator[tuple[str, ...]]:
        children: dict[tuple[tuple[str, ...], tuple[str, ...]], set[tuple[str, ...]]] = {}
        for path in self._facts:
            folder = next((path[:at] for at in range(len(path)) if path[:at] in self._listed), None)
            if folder is None:
                yield path
            else:
                rest = path[len(folder) + 1 :]
                children.setdefault((folder, rest), set()).add(path)
        for (folder, rest), paths in children.items():
            yield from paths if len(paths) < _SIMILAR else [(*folder, ANY, *rest)]


def _pattern(path: tuple[str, ...]) -> str:
    """Return the pattern of a path, or of the nearest folder that can be written as one."""
    kept: list[str] = []
    for segment in path[:_DEPTH]:
        # A value that is an object can have any keys.
        if not _SEGMENT.fullmatch(segment) or len("/".join([*kept, segment])) > _LENGTH - 1:
            break
        if segment == ANY and kept.count(ANY) == _STARS:
            break
        kept.append(segment)
    return "/".join(kept) or ANY


def _listing(path: tuple[str, ...]) -> str:
    pattern = _pattern(path)
    whole = pattern.count("/") + 1 == len(path)
    return f"{pattern}/" if whole or not path else pattern


class _Reader(Reader):
    """A reader that adds to what was read."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder


class _Facts(_Reader):
    def __init__(self, recorder: Recorder, path: tuple[str, ...]) -> None:
        super().__init__(recorder)
        self._path = path

    def key(self, name: str, value: Any) -> Any:
        path = (*self._path, name)
        if isinstance(value, dict):
            self.recorder.folder(path)
            return RecordedDict(value, _Facts(self.recorder, path))
        self.recorder.fact(path, exists=value is not MISSING)
        return value

    def names(self) -> None:
        self.recorder.listing(self._path)

    def items(self, raw: dict[str, Any]) -> list[tuple[str, Any]]:
        self.names()
        each = _Facts(self.recorder, (*self._path, ANY))
        if raw and not any(isinstance(value, dict) for value in raw.values()):
            self.recorder.fact((*self._path, ANY))
            return list(raw.items())
        return [
            (name, RecordedDict(value, each) if isinstance(value, dict) else self.key(name, value))
            for name, value in raw.items()
        ]

    def everything(self) -> None:
        self.recorder.fact(self._path)


class _Members(_Reader):
    def key(self, name: str, value: Any) -> Any:
        self.recorder.members.add(name)
        return value

    def names(self) -> None:
        self.recorder.members.add(ANY_LISTED)

    def items(self, raw: dict[str, Any]) -> list[tuple[str, Any]]:
        self.names()
        each = _Listed(self.recorder)
        return [(name, RecordedDict(value, each)) for name, value in raw.items()]

    def everything(self) -> None:
        self.recorder.members.add(ANY)


class _Listed(_Reader):
    """One of the members that were listed, so that all but its state is recorded already."""

    def key(self, name: str, value: Any) -> Any:
        if name == "state":
            self.everything()
        return value

    def names(self) -> None:
        pass

    def everything(self) -> None:
        self.recorder.members.add(ANY)


class _Peers(_Reader):
    def key(self, name: str, value: Any) -> Any:
        self.recorder.groups.add(f"{name}/")
        return value if value is MISSING else RecordedDict(value, _Group(self.recorder, name))

    def names(self) -> None:
        self.recorder.members.add(ANY_LISTED)

    def everything(self) -> None:
        self.recorder.members.add(ANY)
        self.recorder.fact(("nodes", ANY))


class _Group(_Reader):
    """The peers of a group, of which all but the states is recorded already."""

    def __init__(self, recorder: Recorder, group: str) -> None:
        super().__init__(recorder)
        self._group = group

    def key(self, name: str, value: Any) -> Any:
        if value is MISSING:
            return value
        return RecordedDict(value, _Peer(self.recorder, name, self._group))

    def names(self) -> None:
        pass

    def items(self, raw: dict[str, Any]) -> list[tuple[str, Any]]:
        each = _Peer(self.recorder, ANY, self._group)
        return [(name, RecordedDict(value, each)) for name, value in raw.items()]

    def everything(self) -> None:
        self.recorder.fact(("nodes", ANY))
        self.recorder.groups.add(self._group)


class _Peer(_Reader):
    """A peer, or the member itself.

    :param group: of a peer, whose members are listed already; None for the member itself.
    """

    def __init__(self, recorder: Recorder, name: str, group: str | None = None) -> None:
        super().__init__(recorder)
        self._name = name
        self._group = group

    def key(self, name: str, value: Any) -> Any:
        if name == "facts" and isinstance(value, dict):
            return RecordedDict(value, _Facts(self.recorder, ("nodes", self._name)))
        if self._group is None:
            if name != "name":
                self.recorder.members.add(self._name)
        elif name == "state":
            self.recorder.groups.add(self._group)
        return value

    def names(self) -> None:
        pass

    def everything(self) -> None:
        self.recorder.fact(("nodes", self._name))
        if self._group is None:
            self.recorder.members.add(self._name)
        else:
            self.recorder.groups.add(self._group)


class _Tags(_Reader):
    """The entity tags of sensitive facts, by path."""

    def key(self, name: str, value: Any) -> Any:
        self.recorder.fact(tuple(name.split("/")))
        return value

    def names(self) -> None:
        self.recorder.fact(())

    everything = names


class _Whole(_Reader):
    """The document."""

    def __init__(self, recorder: Recorder, document: Mapping[str, Any]) -> None:
        super().__init__(recorder)
        self._document = document

    def key(self, name: str, value: Any) -> Any:
        return self.recorder.wrap(name, value, self._document) if name else value

    def names(self) -> None:
        self.everything()

    def everything(self) -> None:
        self.recorder.add(EVERYTHING)
