"""The commands ``put``, ``delete``, ``ready`` and ``drain``: facts and states of this member.

A request is stored, too, so that the agent repeats it whenever it joins again.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
from collections.abc import Callable
from typing import Any, Optional

from factstore.agent.config.option_types import argument, integer
from factstore.agent.config.settings import Settings
from factstore.agent.errors import (
    EXIT_OK,
    EXIT_UNAVAILABLE,
    NOT_A_MEMBER,
    RETRYABLE,
    Misconfigured,
    describe,
    print_error,
)
from factstore.agent.publish.command_facts import CommandFacts
from factstore.agent.session.connection import open_connection
from factstore.agent.session.membership import Membership
from factstore.agent.system.host_facts import boot_id
from factstore.agent.system.state_dir import StateDir
from factstore.client.connect import cause_of
from factstore.client.errors import Conflict, NotFound, Refused, Unauthorized


def add_member_commands(
    command: Callable[[str, Callable[[Settings, Any], int], str], argparse.ArgumentParser],
) -> None:
    """Add the commands to a parser.

    :param command: adds a command with a name, a function and a summary, and returns its parser.
    """
    put = command("put", _put, "publish a fact of this member")
    put.add_argument("path", metavar="PATH", help="below nodes/<member>/ or results/<member>/")
    put.add_argument("value", metavar="VALUE", help="a string")
    put.add_argument("--json", action="store_true", help="parse VALUE as JSON")
    put.add_argument(
        "--result",
        action="store_true",
        help="publish a result, which does not trigger other agents",
    )
    put.add_argument(
        "--ttl",
        metavar="SECONDS",
        type=argument(integer(1, 999_999_999)),
        help="let the fact expire unless it is put again within SECONDS",
    )
    delete = command("delete", _delete, "delete a fact that put has published")
    delete.add_argument("path", metavar="PATH", help="below nodes/<member>/")
    command("ready", _set_state("ready"), "set this member's state to ready")
    command("drain", _set_state("draining"), "set this member's state to draining")


def _put(settings: Settings, args: argparse.Namespace) -> int:
    """Publish a fact at nodes/<member>/PATH until the member departs or the fact is deleted.

    With --result, publish it at results/<member>/PATH until the member departs.

    With --ttl, the fact expires after that time instead, and is not published again when the member
    joins again: for numbers that a timer publishes regularly.
    """
    text = _utf8(args.value)
    try:
        value = json.loads(text) if args.json else text
    except ValueError as error:
        raise Misconfigured(f"{text!r} is not valid JSON: {error}.") from error
    command_facts, member = CommandFacts(state_dir(settings), boot_id), settings.agent.member
    path = f"{'results' if args.result else 'nodes'}/{member}/{args.path}"

    def send(stack: Any, generation: str) -> None:
        bound = {"ttl": args.ttl} if args.ttl is not None else {"member": member}
        stack.put(path, value, generation=generation, **bound)

    if args.ttl is not None:
        return _send(settings, send)
    return _send(settings, send, lambda: command_facts.put(args.path, value, result=args.result))


def _utf8(argument: str) -> str:
    """Return an argument as UTF-8, whatever the locale of the terminal is.

    :raises Misconfigured: it is not UTF-8.
    """
    try:
        return os.fsencode(argument).decode()
    except UnicodeDecodeError as error:
        raise Misconfigured("VALUE is not UTF-8.") from error


def _delete(settings: Settings, args: argparse.Namespace) -> int:
    """Delete the fact at nodes/<member>/PATH, unless a file in facts.d publishes it."""
    path = f"nodes/{settings.agent.member}/{args.path}"
    command_facts = CommandFacts(state_dir(settings), boot_id)

    def send(stack: Any, generation: str) -> None:
        try:
            stack.delete(path, generation=generation)
        except NotFound:
            return

    return _send(settings, send, lambda: command_facts.delete(args.path))


def _set_state(state: str) -> Callable[[Settings, argparse.Namespace], int]:
    def run(settings: Settings, args: argparse.Namespace) -> int:
        command_facts = CommandFacts(state_dir(settings), boot_id)

        def send(stack: Any, generation: str) -> None:
            member = stack.member(settings.agent.member, generation=generation)
            member.ready() if state == "ready" else member.drain()

        return _send(settings, send, lambda: command_facts.request_state(state))

    run.__doc__ = f"Set this member's state to {state}, now and whenever it joins again."
    return run


def _send(
    settings: Settings,
    send: Callable[[Any, str], None],
    store: Optional[Callable[[], None]] = None,
) -> int:
    """Send something to the service, and store it for when the member joins again.

    A request that the service refuses is not stored.  If the service cannot be reached, the request
    is stored and the agent sends it later.
    """
    state = state_dir(settings)
    state.create()
    connection = open_connection(settings, os.environ)
    membership = Membership(connection.stack, settings.agent, state, boot_id)
    reason = "the agent has not joined the stack yet"
    try:
        if membership.generation is not None:
            # In a hook, the context that the hook applies is the cause.
            send(connection.stack.acting_on(cause_of(os.environ)), membership.generation)
            try:
                if store is not None:
                    store()
            except OSError as error:
                reason = describe(error)
                print_error(f"done, but not stored for when the member joins again: {reason}")
            return EXIT_OK
    except (Conflict, NotFound) as error:
        if error.code not in NOT_A_MEMBER:
            raise
        reason = "the agent is not a member at the moment"
    except RETRYABLE as error:
        enrolment = connection.enrolment
        # If the member's own grant was rejected, the agent obtains another one.
        can_enrol = enrolment is not None and enrolment.has_member_grant
        if isinstance(error, Refused) and not (can_enrol and isinstance(error, Unauthorized)):
            raise
        reason = describe(error)
    if store is None:
        print_error(f"not sent: {reason}")
        return EXIT_UNAVAILABLE
    store()
    agent = state.agent_pid()
    if agent:
        os.kill(agent, signal.SIGUSR1)
        print_error(f"the agent will send this later: {reason}")
        return EXIT_OK
    print_error(f"the agent will send this when it runs: {reason}")
    return EXIT_UNAVAILABLE


def state_dir(settings: Settings) -> StateDir:
    """Return the state directory of the configured member."""
    return StateDir(settings.agent.state_dir, (settings.agent.stack, settings.agent.member))
