"""The ``factstore-agent`` program: its commands, and what they exit with.

Every failure is a line on stderr.  It never shows a secret, and no traceback unless debugging is on.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from factstore.agent import config_check
from factstore.agent.agent import Parts
from factstore.agent.apply.files import RenderedFolder, RenderError, file_specs, render
from factstore.agent.apply.sensitive_facts import SensitiveFacts
from factstore.agent.config.settings import (
    DEFAULT_FILE,
    FILE_VARIABLE,
    Settings,
    SettingsError,
    load_settings,
)
from factstore.agent.daemon import Daemon
from factstore.agent.errors import (
    EXIT_FAILED,
    EXIT_MISCONFIGURED,
    EXIT_OK,
    EXIT_UNAVAILABLE,
    RETRYABLE,
    AgentError,
    Misconfigured,
    describe,
)
from factstore.agent.once import once
from factstore.agent.publish.command_facts import CommandFacts
from factstore.agent.session.connection import open_connection
from factstore.agent.session.membership import Membership
from factstore.agent.system import log_setup
from factstore.agent.system.host_facts import boot_id
from factstore.agent.system.state_dir import CONTEXT, StateDir
from factstore.client.clock import SystemClock
from factstore.client.errors import Conflict, NotFound, Refused, Unauthorized

LOG = logging.getLogger("factstore.agent.cli")  # also when run with -m


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in *argv* and return its exit status."""
    args = make_parser().parse_args(argv)
    file = args.config or Path(os.environ.get(FILE_VARIABLE) or DEFAULT_FILE)
    try:
        settings = load_settings(file)
    except SettingsError as error:
        for mistake in error.errors:
            _say(mistake)
        return EXIT_MISCONFIGURED
    level = "debug" if args.debug else settings.agent.log_level
    log_setup.configure(level)
    try:
        status: int = args.run(settings, args)
    except AgentError as error:
        _say(str(error))
        return error.status
    except RETRYABLE as error:
        _say(describe(error))
        return EXIT_FAILED if isinstance(error, Refused) else EXIT_UNAVAILABLE
    except OSError as error:
        _say(f"{error.filename or 'the system'}: {error.strerror or error}")
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130  # as shells count it
    except Exception as error:
        LOG.debug("this is a fault of the agent", exc_info=True)
        _say(f"this is a fault of the agent, and --debug shows more: {type(error).__name__}")
        return EXIT_FAILED
    return status


def make_parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    parser = argparse.ArgumentParser(
        prog="factstore-agent", description="Tells a stack of this instance, and applies the stack."
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"the configuration; ${FILE_VARIABLE} or {DEFAULT_FILE} unless given",
    )
    parser.add_argument("--debug", action="store_true", help="say more")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[Settings, Any], int], summary: str) -> Any:
        made = commands.add_parser(name, help=summary, description=run.__doc__)
        made.set_defaults(run=run)
        return made

    running = command("run", _run, "be the agent")
    running.add_argument("--once", action="store_true", help="one round, then end")
    put = command("put", _put, "tell a fact of this member")
    put.add_argument("path", metavar="PATH", help="below nodes/<member>/, or results/<member>/")
    put.add_argument("value", metavar="VALUE", help="a text")
    put.add_argument("--json", action="store_true", help="VALUE is JSON")
    put.add_argument(
        "--result", action="store_true", help="a result: it wakes nobody who converges"
    )
    delete = command("delete", _delete, "take back what put told")
    delete.add_argument("path", metavar="PATH", help="below nodes/<member>/")
    command("ready", _state("ready"), "say that this member is ready")
    command("drain", _state("draining"), "say that this member will depart")
    command("check", _check, "tell what is wrong with the configuration")
    rendering = command("render", _render, "print a file as it would be written now")
    rendering.add_argument("name", metavar="NAME", help="such as 'hosts' of [render hosts]")
    return parser


def _run(settings: Settings, args: argparse.Namespace) -> int:
    """Be a member, tell facts, and apply the stack whenever it changes; or once."""
    clock = SystemClock()

    def parts(stopping: Callable[[], bool]) -> Parts:
        return Parts(settings, open_connection(settings, os.environ), clock, stopping=stopping)

    state = _state_dir(settings)
    state.create()
    # Whoever sees that an agent runs here may send this; until it listens, it is not to die of that.
    signal.signal(signal.SIGUSR1, lambda number, frame: None)
    with state.exclusive(clock) as other:
        if other is not None and args.once:
            LOG.info("an agent runs here already, as %d: there is nothing to do", other)
            return EXIT_OK
        if other is not None:
            raise AgentError(f"an agent runs here already, as {other}.")
        state.remove_partial_writes()
        if args.once:
            return once(parts(lambda: False))
        daemon = Daemon(parts, os.environ, clock, lambda: _usable(settings.file))
        status = daemon.run()
        if daemon.reload:
            LOG.info("begins anew, as the same member")
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the new one listens
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - itself
        return status


def _usable(file: Path) -> bool:
    """Whether a configuration can be begun anew with."""
    try:
        found = list(config_check.mistakes(load_settings(file), os.environ))
    except SettingsError as error:
        found = list(error.errors)
    for mistake in found:
        LOG.error("goes on as it is, for the configuration is wrong: %s", mistake)
    return not found


def _put(settings: Settings, args: argparse.Namespace) -> int:
    """Tell a fact at nodes/<member>/PATH until the member goes, or the fact is deleted.

    With --result it is one at results/<member>/PATH, which stands until the member goes.
    """
    try:
        value = json.loads(args.value) if args.json else args.value
    except ValueError as error:
        raise Misconfigured(f"{args.value!r} is no JSON: {error}.") from error
    said, member = CommandFacts(_state_dir(settings), boot_id), settings.agent.member
    path = f"{'results' if args.result else 'nodes'}/{member}/{args.path}"

    def send(stack: Any, generation: str) -> None:
        stack.put(path, value, member=member, generation=generation)

    return _tell(settings, send, lambda: said.put(args.path, value, result=args.result))


def _delete(settings: Settings, args: argparse.Namespace) -> int:
    """Have no fact at nodes/<member>/PATH, unless facts.d tells one."""
    path = f"nodes/{settings.agent.member}/{args.path}"
    said = CommandFacts(_state_dir(settings), boot_id)

    def send(stack: Any, generation: str) -> None:
        try:
            stack.delete(path, generation=generation)
        except NotFound:
            return

    return _tell(settings, send, lambda: said.delete(args.path))


def _state(wanted: str) -> Callable[[Settings, argparse.Namespace], int]:
    def run(settings: Settings, args: argparse.Namespace) -> int:
        said = CommandFacts(_state_dir(settings), boot_id)

        def send(stack: Any, generation: str) -> None:
            member = stack.member(settings.agent.member, generation=generation)
            member.ready() if wanted == "ready" else member.drain()

        return _tell(settings, send, lambda: said.request_state(wanted))

    run.__doc__ = f"Say that this member is {wanted}, now and whenever it joins again."
    return run


def _tell(settings: Settings, send: Callable[[Any, str], None], keep: Callable[[], None]) -> int:
    """Tell the service something, and keep it for when the member joins again.

    What the service refuses is not kept.  What it cannot be told now is, and the agent tells it.
    """
    state = _state_dir(settings)
    state.create()
    connection = open_connection(settings, os.environ)
    membership = Membership(connection.stack, settings.agent, state)
    reason = "it is no member yet"
    try:
        if membership.generation is not None:
            send(connection.stack, membership.generation)
            keep()
            return EXIT_OK
    except (Conflict, NotFound) as error:
        if error.code not in _ENDED:
            raise
        reason = "it is no member at the moment"
    except RETRYABLE as error:
        enrolment = connection.enrolment
        # The agent gets another grant when its own does not hold any more.
        enrols = (
            isinstance(error, Unauthorized) and enrolment is not None and enrolment.has_member_grant
        )
        if isinstance(error, Refused) and not enrols:
            raise
        reason = describe(error)
    keep()
    agent = state.agent_pid()
    if agent:
        os.kill(agent, signal.SIGUSR1)
        _say(f"the agent will tell it: {reason}")
        return EXIT_OK
    _say(f"the agent will tell it once it runs: {reason}")
    return EXIT_UNAVAILABLE


_ENDED = frozenset(
    f"contextualization.{code}" for code in ("generation_stale", "member_missing", "not_found")
)


def _check(settings: Settings, args: argparse.Namespace) -> int:
    """Tell what is wrong with the configuration and the files that it names; nothing is sent."""
    found = list(config_check.mistakes(settings, os.environ))
    for mistake in found:
        _say(mistake)
    return EXIT_MISCONFIGURED if found else EXIT_OK


def _render(settings: Settings, args: argparse.Namespace) -> int:
    """Print what a template or a renderer makes of the last context, with sealed facts left out."""
    wanted = [
        output for output in file_specs(settings) if output.name.partition(" ")[2] == args.name
    ]
    if len(wanted) != 1:
        raise Misconfigured(f"{len(wanted)} sections are named {args.name}.")
    kept: Mapping[str, Any] | None = _state_dir(settings).read(CONTEXT)
    if kept is None:
        raise AgentError("no context was read yet: factstore-agent run --once")
    connection = open_connection(settings, os.environ)
    try:
        rendered = render(wanted[0], kept["document"], SensitiveFacts(connection.stack))
    except RenderError as error:
        raise AgentError(f"[{error.name}]: {error}") from error
    if isinstance(rendered, RenderedFolder):
        raise AgentError(f"[{wanted[0].name}] is a folder: {', '.join(rendered.files)}")
    sys.stdout.write(rendered.data.decode())
    return EXIT_OK


def _state_dir(settings: Settings) -> StateDir:
    return StateDir(settings.agent.state_dir, (settings.agent.stack, settings.agent.member))


def _say(text: str) -> None:
    print(f"factstore-agent: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
