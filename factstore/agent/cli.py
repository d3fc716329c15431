"""The commands of ``factstore-agent``, and their exit statuses.

Every failure is one line on stderr.  It contains no secret, and a traceback only with ``--debug``.
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
from factstore.agent.agent import Agent
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
from factstore.agent.once import run_once
from factstore.agent.publish.command_facts import CommandFacts
from factstore.agent.session.connection import open_connection
from factstore.agent.session.membership import Membership
from factstore.agent.system import log_setup
from factstore.agent.system.environment import complete_environment, own_command
from factstore.agent.system.host_facts import boot_id
from factstore.agent.system.state_dir import CONTEXT, StateDir
from factstore.agent.system.version import PrintVersion
from factstore.agent.turn_commands import add_turn_commands
from factstore.client.clock import BootClock, SystemClock
from factstore.client.errors import Conflict, NotFound, Refused, Unauthorized

LOG = logging.getLogger("factstore.agent.cli")  # also when run with -m

_NOT_A_MEMBER = frozenset(
    f"contextualization.{code}" for code in ("generation_stale", "member_missing", "not_found")
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in *argv* and return its exit status."""
    args = make_parser().parse_args(argv)
    file = args.config or Path(os.environ.get(FILE_VARIABLE) or DEFAULT_FILE)
    try:
        settings = load_settings(file)
    except SettingsError as error:
        for text in error.errors:
            _print_error(text)
        return EXIT_MISCONFIGURED
    log_setup.configure("debug" if args.debug else settings.agent.log_level)
    try:
        status: int = args.run(settings, args)
    except AgentError as error:
        _print_error(str(error))
        return error.status
    except RETRYABLE as error:
        _print_error(describe(error))
        return EXIT_FAILED if isinstance(error, Refused) else EXIT_UNAVAILABLE
    except OSError as error:
        _print_error(f"{error.filename or 'the system'}: {error.strerror or error}")
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130  # the status that shells use
    except Exception as error:
        LOG.debug("internal error of the agent", exc_info=True)
        name = type(error).__name__
        _print_error(f"internal error of the agent: {name}. Use --debug for details.")
        return EXIT_FAILED
    return status


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="factstore-agent",
        description="Publish facts about this instance, and apply its stack's context to it.",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"the configuration file (default: ${FILE_VARIABLE}, else {DEFAULT_FILE})",
    )
    parser.add_argument("--debug", action="store_true", help="log debug messages and tracebacks")
    parser.add_argument("--version", action=PrintVersion)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[Settings, Any], int], summary: str) -> Any:
        subparser = commands.add_parser(name, help=summary, description=run.__doc__)
        subparser.set_defaults(run=run)
        return subparser

    running = command("run", _run, "run the agent")
    running.add_argument("--once", action="store_true", help="run once and exit, for cron")
    put = command("put", _put, "publish a fact of this member")
    put.add_argument("path", metavar="PATH", help="below nodes/<member>/ or results/<member>/")
    put.add_argument("value", metavar="VALUE", help="a string")
    put.add_argument("--json", action="store_true", help="parse VALUE as JSON")
    put.add_argument(
        "--result",
        action="store_true",
        help="publish a result, which does not trigger other agents",
    )
    delete = command("delete", _delete, "delete a fact that put has published")
    delete.add_argument("path", metavar="PATH", help="below nodes/<member>/")
    command("ready", _set_state("ready"), "set this member's state to ready")
    command("drain", _set_state("draining"), "set this member's state to draining")
    command("check", _check, "check the configuration")
    rendering = command("render", _render, "print a file rendered from the last context")
    rendering.add_argument("name", metavar="NAME", help="such as hosts for [render hosts]")
    add_turn_commands(command)
    return parser


def _run(settings: Settings, args: argparse.Namespace) -> int:
    """Join the stack, publish facts, and apply the context whenever it changes."""
    clock = SystemClock()

    def make_agent(should_stop: Callable[[], bool]) -> Agent:
        connection = open_connection(settings, os.environ)
        return Agent(settings, connection, clock, should_stop=should_stop)

    state = _state_dir(settings)
    state.create()
    # A command sends this signal as soon as the directory is locked; by default it would end us.
    signal.signal(signal.SIGUSR1, lambda number, frame: None)
    with state.exclusive(clock) as other:
        if other is not None:
            text = f"an agent is already running as process {other}"
            if not args.once:
                raise AgentError(f"{text}.")
            LOG.info("%s; nothing to do", text)
            return EXIT_OK
        state.remove_partial_writes()
        complete_environment(os.environ, state.directory, own_command())
        if args.once:
            return run_once(make_agent(lambda: False))
        daemon = Daemon(make_agent, os.environ, BootClock(), lambda: _can_load(settings.file))
        status = daemon.run()
        if daemon.reload:
            LOG.info("restarting as the same member")
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the new program handles it
            command = own_command()
            os.execv(command[0], [*command, *sys.argv[1:]])  # noqa: S606 - itself
        return status


def _can_load(file: Path) -> bool:
    """Return True if a configuration has no problems; log them otherwise."""
    try:
        problems = list(config_check.find_problems(load_settings(file), os.environ))
    except SettingsError as error:
        problems = list(error.errors)
    for problem in problems:
        LOG.error("not reloading, because the configuration is invalid: %s", problem)
    return not problems


def _put(settings: Settings, args: argparse.Namespace) -> int:
    """Publish a fact at nodes/<member>/PATH until the member departs or the fact is deleted.

    With --result, publish it at results/<member>/PATH until the member departs.
    """
    try:
        value = json.loads(args.value) if args.json else args.value
    except ValueError as error:
        raise Misconfigured(f"{args.value!r} is not valid JSON: {error}.") from error
    command_facts, member = CommandFacts(_state_dir(settings), boot_id), settings.agent.member
    path = f"{'results' if args.result else 'nodes'}/{member}/{args.path}"

    def send(stack: Any, generation: str) -> None:
        stack.put(path, value, member=member, generation=generation)

    return _send(settings, send, lambda: command_facts.put(args.path, value, result=args.result))


def _delete(settings: Settings, args: argparse.Namespace) -> int:
    """Delete the fact at nodes/<member>/PATH, unless a file in facts.d publishes it."""
    path = f"nodes/{settings.agent.member}/{args.path}"
    command_facts = CommandFacts(_state_dir(settings), boot_id)

    def send(stack: Any, generation: str) -> None:
        try:
            stack.delete(path, generation=generation)
        except NotFound:
            return

    return _send(settings, send, lambda: command_facts.delete(args.path))


def _set_state(state: str) -> Callable[[Settings, argparse.Namespace], int]:
    def run(settings: Settings, args: argparse.Namespace) -> int:
        command_facts = CommandFacts(_state_dir(settings), boot_id)

        def send(stack: Any, generation: str) -> None:
            member = stack.member(settings.agent.member, generation=generation)
            member.ready() if state == "ready" else member.drain()

        return _send(settings, send, lambda: command_facts.request_state(state))

    run.__doc__ = f"Set this member's state to {state}, now and whenever it joins again."
    return run


def _send(settings: Settings, send: Callable[[Any, str], None], store: Callable[[], None]) -> int:
    """Send something to the service, and store it for when the member joins again.

    A request that the service refuses is not stored.  If the service cannot be reached, the request
    is stored and the agent sends it later.
    """
    state = _state_dir(settings)
    state.create()
    connection = open_connection(settings, os.environ)
    membership = Membership(connection.stack, settings.agent, state)
    reason = "the agent has not joined the stack yet"
    try:
        if membership.generation is not None:
            send(connection.stack, membership.generation)
            store()
            return EXIT_OK
    except (Conflict, NotFound) as error:
        if error.code not in _NOT_A_MEMBER:
            raise
        reason = "the agent is not a member at the moment"
    except RETRYABLE as error:
        enrolment = connection.enrolment
        # If the member's own grant was rejected, the agent obtains another one.
        can_enrol = enrolment is not None and enrolment.has_member_grant
        if isinstance(error, Refused) and not (can_enrol and isinstance(error, Unauthorized)):
            raise
        reason = describe(error)
    store()
    agent = state.agent_pid()
    if agent:
        os.kill(agent, signal.SIGUSR1)
        _print_error(f"the agent will send this later: {reason}")
        return EXIT_OK
    _print_error(f"the agent will send this when it runs: {reason}")
    return EXIT_UNAVAILABLE


def _check(settings: Settings, args: argparse.Namespace) -> int:
    """Check the configuration and the files that it names.  No request is sent."""
    problems = list(config_check.find_problems(settings, os.environ))
    for problem in problems:
        _print_error(problem)
    return EXIT_MISCONFIGURED if problems else EXIT_OK


def _render(settings: Settings, args: argparse.Namespace) -> int:
    """Print a template or renderer's file for the last context, without sensitive facts."""
    specs = [spec for spec in file_specs(settings) if spec.name.partition(" ")[2] == args.name]
    if len(specs) != 1:
        raise Misconfigured(f"{len(specs)} sections are named {args.name}.")
    stored: Mapping[str, Any] | None = _state_dir(settings).read(CONTEXT)
    if stored is None:
        raise AgentError("No context has been stored yet: run factstore-agent run --once")
    connection = open_connection(settings, os.environ)
    try:
        rendered = render(specs[0], stored["document"], SensitiveFacts(connection.stack))
    except RenderError as error:
        raise AgentError(f"[{error.name}]: {error}") from error
    if isinstance(rendered, RenderedFolder):
        raise AgentError(f"[{specs[0].name}] is a folder: {', '.join(rendered.files)}")
    sys.stdout.write(rendered.data.decode())
    return EXIT_OK


def _state_dir(settings: Settings) -> StateDir:
    return StateDir(settings.agent.state_dir, (settings.agent.stack, settings.agent.member))


def _print_error(text: str) -> None:
    print(f"factstore-agent: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
