"""The configurations of a stack."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from factstore.client import urls
from factstore.client.conditional import read_unless_known
from factstore.client.errors import NotFound
from factstore.client.transport import Transport, parsed

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True)
class ResultRecord:
    """The result of a configuration, or its progress.

    :param state: ``in_progress``, ``complete`` or ``failed``.
    :param status_code: of the hook; None until it has ended.
    :param percent: the progress, 0 to 100; None if it is not known.
    :param message: the last line of output.
    :param reason: of a failure that the hook did not report itself.
    :param stdout: the end of the output; empty in lists, as *stderr*.
    """

    state: str
    status_code: int | None
    outputs: Mapping[str, Any]
    percent: int | None
    message: str
    reason: str
    started_at: str
    ended_at: str | None
    stdout: str = field(default="", repr=False)
    stderr: str = field(default="", repr=False)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the result in a document.  Unknown fields are ignored."""
        return cls(
            state=document["state"],
            status_code=document["status_code"],
            outputs=document["outputs"],
            percent=document["percent"],
            message=document["message"],
            reason=document["reason"],
            started_at=document["started_at"],
            ended_at=document["ended_at"],
            stdout=document.get("stdout", ""),
            stderr=document.get("stderr", ""),
        )


@dataclass(frozen=True)
class ConfigurationRecord:
    """A configuration.

    :param id: of the definition, which changes with it.
    :param sequence: the place in the order of the stack's configurations.
    :param state: ``waiting``, ``due``, ``in_progress``, ``complete``, ``failed`` or ``lost``.
    :param waits_for: the configurations that it waits for, as ``member/name``.
    :param config: empty in lists, as are *options*, *inputs*, *input_facts* and *trigger*.
    :param result: the last report on the present definition, or None.
    :param deployed: True if this definition or a former one was begun, and has not been undeployed.
    :param etag: empty in lists and in responses to writes.
    """

    member: str
    name: str
    id: str
    sequence: int
    state: str
    waits_for: Sequence[str]
    group: str
    outputs: Sequence[str]
    depends_on: Sequence[str]
    action: str
    on_interrupt: str
    timeout: int
    result: ResultRecord | None
    config: str = field(default="", repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    input_facts: Mapping[str, str] = field(default_factory=dict)
    trigger: str = ""
    deployed: bool = False
    updated_at: str = ""
    etag: str = ""

    @classmethod
    def parse(cls, document: Mapping[str, Any], etag: str = "") -> Self:
        """Return the configuration in a document.  Unknown fields are ignored."""
        result = document["result"]
        return cls(
            member=document["member"],
            name=document["name"],
            id=document["id"],
            sequence=document["sequence"],
            state=document["state"],
            waits_for=document["waits_for"],
            group=document["group"],
            outputs=document["outputs"],
            depends_on=document["depends_on"],
            action=document["action"],
            on_interrupt=document["on_interrupt"],
            timeout=document["timeout"],
            result=None if result is None else ResultRecord.parse(result),
            config=document.get("config", ""),
            options=document.get("options", {}),
            inputs=document.get("inputs", {}),
            input_facts=document.get("input_facts", {}),
            trigger=document.get("trigger", ""),
            deployed=document.get("deployed", False),
            updated_at=document.get("updated_at", ""),
            etag=etag,
        )


@dataclass(frozen=True)
class ConfigurationList:
    """Configurations in their order.

    :param etag: of the list.
    """

    configurations: Sequence[ConfigurationRecord]
    etag: str


class Configuration:
    """Operations on one configuration of one member."""

    def __init__(self, stack_url: str, member: str, name: str, transport: Transport) -> None:
        self._url = urls.item_url(stack_url, "configurations", member, name)
        self._transport = transport

    def put(self, group: str, *, if_absent: bool = False, **definition: Any) -> ConfigurationRecord:
        """Create the configuration or change its definition; return it.

        An equal definition changes nothing.  A changed one runs again.

        :param group: the hook that deploys it, such as ``script``.
        :param definition: ``config``, ``options``, ``inputs``, ``input_facts``, ``outputs``,
            ``depends_on``, ``action``, ``on_interrupt``, ``timeout`` and ``trigger``.
        :param if_absent: create it only if it does not exist.
        :raises Conflict: it would wait for itself.
        :raises PreconditionFailed: it exists, with *if_absent*.
        """
        headers = {"If-None-Match": "*"} if if_absent else {}
        body = {"group": group, **definition}
        response = self._transport.send("PUT", self._url, headers=headers, body=body)
        return parsed(response, ConfigurationRecord.parse)

    def show(
        self, *, if_none_match: str | None = None, wait: float = 0
    ) -> ConfigurationRecord | None:
        """Return the configuration with its result.

        :param if_none_match: the etag that the caller already knows.
        :param wait: seconds, 0 to 50, for which the request waits until the etag differs, or without
            *if_none_match* until the configuration has ended.
        :return: the configuration; None if it still has the etag *if_none_match*.
        :raises NotFound: it does not exist.
        """
        return read_unless_known(
            self._transport, self._url, if_none_match, ConfigurationRecord.parse, wait=wait
        )

    def report(self, identifier: str, state: str, **result: Any) -> ConfigurationRecord:
        """Report the progress of a run, or its end; return the configuration.

        :param identifier: the id of the configuration that ran.
        :param state: ``in_progress``, ``complete`` or ``failed``.
        :param result: ``status_code``, ``stdout``, ``stderr``, ``outputs``, ``percent``, ``message``
            and ``reason``.
        :raises NotFound: the configuration does not exist.
        :raises Conflict: its definition has changed, or another end was reported.
        """
        body = {"id": identifier, "state": state, **result}
        response = self._transport.send("PUT", f"{self._url}/result", body=body)
        return parsed(response, ConfigurationRecord.parse)

    def delete(self) -> None:
        """Delete the configuration and its result, if it exists.  Nothing is undeployed."""
        with contextlib.suppress(NotFound):
            self._transport.send("DELETE", self._url)
