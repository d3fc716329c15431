"""The commands of ``factstore-agent``, and their exit statuses.

Every failure is one line on stderr.  It contains no secret, and a traceback only with ``--debug``.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from factstore.agent import config_check
from factstore.agent.agent import Agent
from factstore.agent.check_commands import add_check_commands
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
    NameUnknown,
    describe,
    print_error,
)
from factstore.agent.member_commands import add_member_commands, state_dir
from factstore.agent.once import run_once
from factstore.agent.session.connection import open_connection
from factstore.agent.session.identity import Identity
from factstore.agent.startup import Startup
from factstore.agent.system import log_setup
from factstore.agent.system.environment import complete_environment, own_command
from factstore.agent.system.machine import Machine
from factstore.agent.system.version import PrintVersion
from factstore.agent.turn_commands import add_turn_commands
from factstore.client.clock import BootClock, SystemClock
from factstore.client.errors import Refused
from factstore.client.program_output import OutputError, run_program

LOG = logging.getLogger("factstore.agent.cli")  # also when run with -m


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in *argv* and return its exit status."""
    return run_program("factstore-agent", lambda: _main(argv), lambda: EXIT_FAILED)


def _main(argv: Sequence[str] | None) -> int:
    args = make_parser().parse_args(argv)
    file = args.config or Path(os.environ.get(FILE_VARIABLE) or DEFAULT_FILE)
    try:
        settings = load_settings(file)
    except SettingsError as error:
        for text in error.errors:
            print_error(text)
        return EXIT_MISCONFIGURED
    log_setup.configure("debug" if args.debug else settings.agent.log_level)
    try:
        if args.run is not _run:
            settings = _with_known_member(settings, required=args.command != "check")
        status: int = args.run(settings, args)
    except AgentError as error:
        print_error(str(error))
        return error.status
    except RETRYABLE as error:
        print_error(describe(error))
        return EXIT_FAILED if isinstance(error, Refused) else EXIT_UNAVAILABLE
    except OSError as error:
        print_error(describe(error))
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130  # the status that shells use
    except OutputError:
        raise
    except Exception as error:
        LOG.debug("internal error of the agent", exc_info=True)
        name = type(error).__name__
        print_error(f"internal error of the agent: {name}. Use --debug for details.")
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
    add_member_commands(command)
    add_check_commands(command)
    add_turn_commands(command)
    return parser


def _with_known_member(settings: Settings, *, required: bool) -> Settings:
    """Return the settings with the name of the member, which the running agent has found out.

    :raises NameUnknown: the name is required and not known.
    """
    identity = Identity(settings, Machine())
    member = identity.known_member or identity.host_name
    if required and not member:
        raise NameUnknown(
            "The agent has not found out yet which member it is: the host has no name of its own."
        )
    return identity.settings_of(member)


def _run(settings: Settings, args: argparse.Namespace) -> int:
    """Join the stack, publish facts, and apply the context whenever it changes."""
    clock = SystemClock()
    state = state_dir(settings)
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
        signal.signal(signal.SIGHUP, lambda number, frame: _restart())
        settings = Startup(settings, os.environ, BootClock(), waits=not args.once).run()

        def make_agent(should_stop: Callable[[], bool]) -> Agent:
            connection = open_connection(settings, os.environ)
            return Agent(settings, connection, clock, should_stop=should_stop)

        if args.once:
            return run_once(make_agent(lambda: False))
        daemon = Daemon(make_agent, os.environ, BootClock(), lambda: _can_load(settings.file))
        status = daemon.run()
        if daemon.reload:
            LOG.info("restarting as the same member")
            _restart()
        return status


def _restart() -> NoReturn:
    """Execute the program again."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the new program handles it
    command = own_command()
    os.execv(command[0], [*command, *sys.argv[1:]])  # noqa: S606 - itself


def _can_load(file: Path) -> bool:
    """Return True if a configuration has no problems; log them otherwise."""
    try:
        problems = list(config_check.find_problems(load_settings(file), os.environ))
    except SettingsError as error:
        problems = list(error.errors)
    for problem in problems:
        LOG.error("not reloading, because the configuration is invalid: %s", problem)
    return not problems


if __name__ == "__main__":
    sys.exit(main())
