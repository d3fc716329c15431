"""The calls of a stack that concern what members run: configurations and actions."""

from __future__ import annotations

import contextlib
import uuid
from typing import Any

from factstore.client.action import Action, ActionRecord, MemberAction, MemberActionList
from factstore.client.conditional import read_unless_known
from factstore.client.conditions import Conditions
from factstore.client.configuration import (
    Configuration,
    ConfigurationList,
    ConfigurationRecord,
)
from factstore.client.errors import NotFound
from factstore.client.timeline import TimelineEntry, make_timeline
from factstore.client.transport import parsed
from factstore.client.urls import item_url


class Runs(Conditions):
    """The part of a stack's operations that concerns configurations and actions."""

    def configuration(self, member: str, name: str) -> Configuration:
        """Return a configuration of a member.  No request is sent, and it need not exist."""
        return Configuration(self._url, member, name, self._transport)

    def configurations(
        self, member: str | None = None, *, if_none_match: str | None = None, wait: float = 0
    ) -> ConfigurationList | None:
        """Return the configurations of a member, or of all members, in their order.

        :param if_none_match: the etag of the list that the caller already knows.
        :param wait: seconds, 0 to 50, for which the request waits until the list differs.
        :return: the list; None if it still has the etag *if_none_match*.
        :raises NotFound: the stack does not exist.
        """
        url = f"{self._url}/configurations"
        url = url if member is None else item_url(self._url, "configurations", member)
        return read_unless_known(
            self._transport,
            url,
            if_none_match,
            lambda found, etag: ConfigurationList(
                tuple(map(ConfigurationRecord.parse, found["configurations"])), etag
            ),
            wait=wait,
        )

    def run_action(
        self, hook: str, *, member: str | None = None, group: str | None = None, **options: Any
    ) -> ActionRecord:
        """Run a hook once on a member, or on all members of a group that have joined.

        The request has an idempotency key, so that it is repeated if its response is lost.

        :param hook: of the image's hooks directory, such as ``script``.
        :param options: ``config``, ``options``, ``inputs``, ``input_facts``, ``max_parallel``,
            ``timeout`` and ``ttl``.
        :return: the action; wait for it with :meth:`Action.wait`.
        :raises NotFound: the stack does not exist.
        :raises Conflict: no such member has joined.
        """
        target = {"member": member, "group": group}
        body = {"hook": hook, **{k: v for k, v in target.items() if v is not None}, **options}
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        response = self._transport.send("POST", f"{self._url}/actions", headers=headers, body=body)
        return parsed(response, ActionRecord.parse)

    def action(self, identifier: str) -> Action:
        """Return an action by its id.  No request is sent, and it need not exist."""
        return Action(self._url, identifier, self._transport)

    def actions(self) -> list[ActionRecord]:
        """Return the actions in the order in which they were created, without their results.

        :raises NotFound: the stack does not exist.
        """
        response = self._transport.send("GET", f"{self._url}/actions")
        return parsed(
            response, lambda found: [ActionRecord.parse(each) for each in found["actions"]]
        )

    def timeline(self, member: str | None = None, *, actions: bool = True) -> list[TimelineEntry]:
        """Return when the members ran their configurations and actions, by member and start.

        :param member: only the runs of this member.
        :param actions: also those of actions, each of which takes a request.
        :raises NotFound: the stack does not exist.
        """
        found = self.configurations(member)
        records = []
        for each in self.actions() if actions else ():
            with contextlib.suppress(NotFound):  # it was deleted meanwhile
                records.append(self.action(each.id).show())
        entries = make_timeline(
            found.configurations if found else (), (each for each in records if each is not None)
        )
        return [each for each in entries if member in (None, each.member)]

    def member_actions(
        self, member: str, *, if_none_match: str | None = None, wait: float = 0
    ) -> MemberActionList | None:
        """Return the actions that a member is to run, or runs, in the order of their creation.

        :param if_none_match: the etag of the list that the caller already knows.
        :param wait: seconds, 0 to 50, for which the request waits until the list differs.
        :return: the list; None if it still has the etag *if_none_match*.
        :raises NotFound: the stack does not exist.
        """
        url = f"{item_url(self._url, 'members', member)}/actions"
        return read_unless_known(
            self._transport,
            url,
            if_none_match,
            lambda found, etag: MemberActionList(
                tuple(
                    MemberAction(each["id"], each["hook"], each["state"])
                    for each in found["actions"]
                ),
                etag,
            ),
            wait=wait,
        )
