"""A server of Nova that asks for a grant, as Nova describes it."""

from __future__ import annotations

import hashlib
import re

from factstore.core.errors import Invalid
from factstore.core.model.member import DECLARED_PATTERN
from factstore.core.model.path import SEGMENT_LENGTH, check_name, check_stack_name, quoted
from factstore.core.model.quick_dataclass import quick_dataclass

PREFIX = "factstore_"
"""The beginning of the properties of a server that concern this service."""
STACK, GROUP = "factstore_stack", "factstore_group"
INSTANCE_ID = "factstore_instance_id"
"""The property with the id under which Heat declares a unit that is not the server itself."""


@quick_dataclass(frozen=True, slots=True)
class InstanceRequest:
    """A request for the grant of a server.  Create it with :meth:`of`, which checks the properties.

    :param id: the server's id in Nova.
    :param host: the host name that Nova gave to the server.
    :param instance_id: the id as which Heat or Nova knows the instance.
    """

    id: str
    host: str
    stack: str
    group: str
    instance_id: str

    @classmethod
    def of(cls, instance_id: str, host: str, properties: dict[str, str]) -> InstanceRequest | None:
        """Return a checked request, or None if no property concerns this service.

        :raises Invalid: a property is missing, unknown, or not a valid name.
        """
        given = {name: value for name, value in properties.items() if name.startswith(PREFIX)}
        known_as = given.pop(INSTANCE_ID, "") or instance_id
        if not given:
            return None
        if unknown := sorted(given.keys() - {STACK, GROUP}):
            raise Invalid(
                f"The property {quoted(unknown[0])} of the server is unknown. Set {STACK} and {GROUP}."
            )
        for name in (STACK, GROUP):
            if name not in given:
                raise Invalid(f"The server has no property {name}. Set {STACK} and {GROUP}.")
        check_stack_name(given[STACK])
        check_name(given[GROUP], "group")
        if not re.fullmatch(DECLARED_PATTERN, known_as):
            raise Invalid(f"The property {INSTANCE_ID} must be printable ASCII characters.")
        return cls(instance_id, host, given[STACK], given[GROUP], known_as)

    @property
    def grant_suffix(self) -> str:
        """The part of the grant's id that follows from the server's id, in hex."""
        # No name of a member contains a NUL, so no grant of a member has the same suffix.
        return hashlib.sha256(f"instance\0{self.id}".encode()).hexdigest()[:16]

    @property
    def member_names(self) -> tuple[str, str]:
        """The member's name, and another one for a server whose name is taken."""
        label = re.sub(r"[^A-Za-z0-9_@-]+", "-", self.host.partition(".")[0]).lstrip("-@")
        name = label.lower() or "instance"
        tail = re.sub(r"[^A-Za-z0-9]", "", self.id)[:8] or "x"
        return name[:SEGMENT_LENGTH], f"{name[: SEGMENT_LENGTH - 9]}-{tail}"

    @property
    def declared_ids(self) -> tuple[str, ...]:
        """The ids as which the member of this server may have been declared."""
        return f"heat:{self.instance_id}", f"heat:{self.id}", f"nova:{self.id}"
