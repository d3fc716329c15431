"""The identity of the agent: the member that it is, and the machine to which that is bound.

The name is the configured one; else that of the grant; else that of the member which was declared for
this instance by Heat or Nova; else the first part of the host name.  It is stored with the ids of the
machine, so that the next start needs no request, and so that a copy of the state directory is noticed.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from factstore.agent.config.settings import Settings
from factstore.agent.system.machine import Machine, full_host_name, host_name_for
from factstore.agent.system.state_dir import IDENTITY, StateDir
from factstore.client import MemberRecord, Stack
from factstore.client.errors import Forbidden, NotFound

LOG = logging.getLogger(__name__)

_DECLARERS = ("heat", "nova")
_BY_HOST_NAME = "host name"


class Binding(NamedTuple):
    """The place of a state directory.

    :param ids: of the machine.
    :param boot: the id of the boot.
    :param directory: the device and the inode of the directory.
    :param host: the host name; empty while the machine has only the name of its image.
    """

    ids: Mapping[str, str]
    boot: str
    directory: str
    host: str

    def is_copy_of(self, other: Binding) -> bool:
        """Return True if the directory in this place was copied from the other one."""
        common = self.ids.keys() & other.ids.keys()
        if any(self.ids[name] != other.ids[name] for name in common):
            return True
        # Numbers of devices can change when a machine boots.
        return self.boot == other.boot and self.directory != other.directory

    def is_another_name(self, other: Binding) -> bool:
        """Return True if the machine has booted with another host name.

        It may be made from an image of the other one, although it has the same ids or none.
        """
        return self.boot != other.boot and bool(self.host) and self.host != other.host


class Identity:
    """The member that this agent is.

    :ivar copied_from: the place from which the state directory was copied; None if it was not.
    """

    def __init__(self, settings: Settings, machine: Machine) -> None:
        self._settings = settings
        self._machine = machine
        agent = settings.agent
        self._state = StateDir(agent.state_dir, (agent.stack, ""))
        stored = self._state.read(IDENTITY) or {}
        self._stored_name, self._source = str(stored.get("member", "")), stored.get("source")
        place = _place(agent.state_dir)
        self.binding = Binding(machine.ids(), machine.boot_id(), place, full_host_name())
        earlier = _parsed_binding(stored.get("binding"))
        self.copied_from = earlier if earlier and self.binding.is_copy_of(earlier) else None
        self._is_renamed = earlier is not None and self.binding.is_another_name(earlier)

    @property
    def known_member(self) -> str:
        """The name that is known without a request; empty if it is not."""
        configured = self._settings.agent.member
        if configured or self.copied_from is not None:
            return configured
        if self._source == _BY_HOST_NAME:
            return self.host_name or self._stored_name
        return "" if self._is_renamed else self._stored_name

    @property
    def former_member(self) -> str:
        """The name that was stored last."""
        return self._stored_name

    @property
    def host_name(self) -> str:
        """The first part of the host name; empty if the machine has none of its own."""
        return _short(full_host_name())

    def find_member(self, stack: Stack, grant_id: str | None) -> str:
        """Return the name of the member; empty if the machine has no name yet.

        :param grant_id: the grant with which the agent authenticates.
        :raises FactstoreError: the service cannot answer now.
        """
        found = _name_in_grant(stack, grant_id) or self._declared_name(stack)
        self._source = "service" if found else _BY_HOST_NAME
        return found or self.host_name

    def store(self, member: str) -> None:
        """Bind the state directory to this machine, and to a member."""
        document = {
            "member": member,
            "source": self._source,
            "binding": {**self.binding._asdict(), "ids": dict(self.binding.ids)},
        }
        if document != self._state.read(IDENTITY):
            self._state.try_write(IDENTITY, document)

    def settings_of(self, member: str) -> Settings:
        """Return the settings with the member's name, and its instance id as an attribute."""
        agent, ids = self._settings.agent, self._instance_ids()
        attributes = {**({"instance_id": ids[0]} if ids else {}), **agent.attributes}
        return dataclasses.replace(
            self._settings, agent=dataclasses.replace(agent, member=member, attributes=attributes)
        )

    def _instance_ids(self) -> list[str]:
        configured = self._settings.agent.instance_id
        return [configured] if configured else self._machine.instance_ids()

    def _declared_name(self, stack: Stack) -> str:
        """Return the name of the member that is declared for this instance; empty if none is."""
        try:
            for identifier in self._instance_ids():
                for declarer in _DECLARERS:
                    for record in stack.members(declared=f"{declarer}:{identifier}"):
                        LOG.info(
                            "this instance is declared as member %s (%s)",
                            *(record.name, record.declared),
                        )
                        return record.name
            host = full_host_name()
            if host and not _exists(stack, _short(host)):
                return _named_like(host, stack.members(group=self._settings.agent.group))
        except (Forbidden, NotFound) as error:  # the stack may not exist yet
            LOG.debug("the service does not return declared members: %s", error)
        return ""


def _place(directory: Path) -> str:
    try:
        found = directory.stat()
    except OSError:  # it does not exist, or cannot: creating it reports that
        return ""
    return f"{found.st_dev}:{found.st_ino}"


def _parsed_binding(stored: Any) -> Binding | None:
    try:
        texts = (str(stored[name]) for name in ("boot", "directory", "host"))
        return Binding(dict(stored["ids"]), *texts)
    except (LookupError, TypeError, ValueError):
        return None


def _short(host: str) -> str:
    return host.partition(".")[0]


def _exists(stack: Stack, name: str) -> bool:
    try:
        stack.member(name).show()
    except NotFound:
        return False
    return True


def _name_in_grant(stack: Stack, grant_id: str | None) -> str:
    """Return the name of the only member that the grant is for; empty if it is for several."""
    if grant_id is None:
        return ""
    try:
        return stack.grant(grant_id).show().member or ""
    except (Forbidden, NotFound):  # policy may forbid reading a grant
        return ""


def _named_like(host: str, members: Iterable[MemberRecord]) -> str:
    """Return the name of the declared member to which Nova gives this host name; empty if none is.

    A server's name can have capitals, underscores and dots, and more than 63 characters.
    """
    full = host_name_for(host)
    exact, similar = set(), set()
    for member in members:
        named = host_name_for(member.name) if member.declared is not None else ""
        if named == full:
            exact.add(member.name)
        # Dots become hyphens in some versions of Nova. The image may cut the name at the first dot.
        elif named and full in (named.replace(".", "-"), _short(named)):
            similar.add(member.name)
    found = exact or similar
    if len(found) > 1:
        LOG.warning(
            "host name %s is that of several declared members: %s; joining under the host name",
            *(host, ", ".join(sorted(found))),
        )
    return found.pop() if len(found) == 1 else ""
