"""``factstore standalone``: run the whole service on one machine, for evaluation and demos.

The command starts a private etcd, the API, a notifier and, with ``--keystone``, a private Keystone. It
restarts the others if they exit, and ends when the API does. All of them listen only on the loopback
interface. Data is kept in the state directory and is available again after a restart.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from keystoneauth1.exceptions import ClientException

from factstore import SERVICE_TYPE
from factstore.client.os_errors import described
from factstore.client.program_output import OutputError
from factstore.cmd.errors import CommandError
from factstore.cmd.processes.api import ApiProcess, write_options
from factstore.cmd.processes.etcd import EtcdServer, find_etcd
from factstore.cmd.processes.keystone import KeystoneServer, find_keystone
from factstore.cmd.processes.log_printer import LogPrinter
from factstore.cmd.processes.notifier import NotifierProcess
from factstore.cmd.processes.ports import LOOPBACK, is_free, remembered_port
from factstore.cmd.processes.private_file import private_directory
from factstore.cmd.processes.process import ChildError
from factstore.cmd.standalone_settings import PERSONAS, Settings
from factstore.cmd.supervisor import StopRequested, Supervisor
from factstore.cmd.welcome import welcome
from factstore.keys.repository import RepositoryError
from factstore.keys.rotation import create, locked_repository

DEFAULT_PORT = 8796

# In total less than the 10 s for which service managers and people wait.
_API_STOPS_WITHIN = 5.0
_KEYSTONE_STOPS_WITHIN = 2.0
_ETCD_STOPS_WITHIN = 2.5
_NOTIFIER_STOPS_WITHIN = 2.5


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--port",
        type=_port,
        default=DEFAULT_PORT,
        help="the port of the API (default: %(default)s)",
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=_default_state(),
        metavar="DIR",
        help="the directory for data, configuration and logs (default: %(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=_workers,
        default=1,
        help="the number of API worker processes (default: %(default)s)",
    )
    parser.add_argument(
        "--keystone", action="store_true", help="require tokens from a private Keystone"
    )
    parser.add_argument(
        "--service-type",
        default=SERVICE_TYPE,
        metavar="TYPE",
        help="the type of the service in the catalog of the Keystone (default: %(default)s)",
    )
    parser.add_argument(
        "--allow-origin",
        metavar="URL",
        type=_origin,
        help="allow web pages from this origin to call the API, such as http://127.0.0.1:8000",
    )
    parser.add_argument("--access-log", action="store_true", help="print a line for each request")


def run(args: argparse.Namespace) -> int:
    """Serve until a signal, and return 0. Raises CommandError if the service fails."""
    return serve(
        Settings(
            args.port,
            args.state.absolute(),
            args.workers,
            args.keystone,
            args.allow_origin,
            access_log=args.access_log,
            service_type=args.service_type,
        )
    )


def serve(settings: Settings) -> int:
    """Serve until a signal, and return 0. Raises CommandError if the service fails."""
    for package in ("oslo_config", "gunicorn", "gevent"):
        if find_spec(package) is None:
            raise CommandError(f"{package} is not installed: install openstack-factstore[server]")
    try:
        find_etcd()
        if settings.keystone:
            find_keystone()
        with _locked(settings.state):
            if not is_free(settings.port):
                raise CommandError(f"port {settings.port} is in use: choose another with --port")
            printer = LogPrinter(settings.api_log, _say) if settings.access_log else None
            with printer or contextlib.nullcontext(), Supervisor(_say) as supervisor:
                with contextlib.suppress(StopRequested):
                    _start(settings, supervisor)
                    supervisor.run()
                _say(f"stopping; the data are kept in {settings.state}")
    except (ChildError, RepositoryError) as error:
        raise CommandError(str(error)) from error
    except OSError as error:  # such as a full disk; the text names the file
        raise CommandError(described(error)) from error
    return 0


def _start(settings: Settings, supervisor: Supervisor) -> None:
    state = settings.state
    port = remembered_port(state / "notify.port")
    etcd = EtcdServer(
        state / "etcd",
        # The same port after a restart: it is in the configuration of the API's workers.
        client_port=remembered_port(state / "etcd.port"),
        log_path=state / "etcd.log",
    )
    supervisor.start(etcd.child, etcd.start, stop_within=_ETCD_STOPS_WITHIN, restart=True)
    options: dict[str, dict[str, str | int]] = {
        "DEFAULT": {"auth_strategy": "keystone" if settings.keystone else "none"},
        "api": {
            "host": LOOPBACK,
            "port": settings.port,
            "workers": settings.workers,
            "access_log": settings.access_log,
            "agent_directory": str(settings.agents),
        },
        "console": {"enabled": True},
        "etcd": {"endpoints": etcd.endpoint, "compaction_window": 600},
        "limits": {"requests_per_second": -1},  # there are no other projects to protect
        "sealing": {"key_repository": str(settings.sealing_keys)},
        # Targets on this machine have no certificates.
        "notify": {"allow_http": True, "allow_cidrs": "127.0.0.0/8,::1/128", "port": port},
    }
    settings.agents.mkdir(exist_ok=True)
    with locked_repository(settings.sealing_keys) as repository:
        create(repository)
    if settings.allow_origin:
        options["cors"] = {"allowed_origin": settings.allow_origin}
    if settings.keystone:
        options["keystone_authtoken"] = {**_start_keystone(settings, supervisor)}
    etcd.wait_ready(pause=supervisor.pause)
    write_options(
        settings.config,
        options,
        heading=f"Generated at each start, do not edit. Put settings of your own into"
        f" {settings.own_config}, which is read after this file and never written.",
    )
    api = ApiProcess(
        settings.config,
        settings.port,
        settings.api_log,
        argv=settings.api_argv,
        own_config=settings.own_config,
    )
    supervisor.start(api.child, api.start, stop_within=_API_STOPS_WITHIN, restart=False)
    api.wait_ready(pause=supervisor.pause)
    notifier = NotifierProcess([settings.config, settings.own_config], port, state / "notify.log")
    supervisor.start(
        notifier.child, notifier.start, stop_within=_NOTIFIER_STOPS_WITHIN, restart=True
    )
    _say(welcome(settings))


def _start_keystone(settings: Settings, supervisor: Supervisor) -> dict[str, str]:
    keystone = KeystoneServer(
        settings.state / "keystone",
        log_path=settings.state / "keystone.log",
        service_type=settings.service_type,
    )
    _say("starting Keystone; the first start takes some seconds")
    keystone.prepare(pause=supervisor.pause)
    supervisor.start(
        keystone.child, keystone.start, stop_within=_KEYSTONE_STOPS_WITHIN, restart=True
    )
    keystone.wait_ready(pause=supervisor.pause)
    accounts = keystone.accounts
    try:
        accounts.provision(settings.url)
    except ClientException as error:
        raise ChildError(f"cannot set up Keystone: {error}; see {keystone.log_path}") from error
    for persona in PERSONAS:
        accounts.write_openrc(settings.openrc(persona), persona)
    accounts.write_clouds(settings.clouds, PERSONAS)
    return accounts.authtoken_options()


@contextlib.contextmanager
def _locked(state: Path) -> Iterator[None]:
    """Lock the state directory. Raises CommandError if it is in use or unusable."""
    try:
        private_directory(state)
        file = (state / "lock").open("w", encoding="ascii")
    except OSError as error:
        raise CommandError(f"cannot use the state directory {state}: {error.strerror}") from error
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(
                f"the state directory {state} is in use by another factstore: stop it, or choose"
                " another directory with --state"
            ) from None
        yield


def _say(line: str) -> None:
    # Flushed for readers of a pipe. If the reader has closed the pipe, the service continues.
    with contextlib.suppress(OutputError):
        print(line, flush=True)


def _number(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= most):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 1 and {most}")
    return int(text)


def _port(text: str) -> int:
    return _number(text, 65535)


def _workers(text: str) -> int:
    return _number(text, 64)


def _origin(text: str) -> str:
    if not re.fullmatch(r"https?://[^/\s?#@]+", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an origin, such as http://127.0.0.1:8000"
        )
    return text


def _default_state() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "factstore"
