"""A private, real Heat on the loopback interface: engine and both APIs in one process."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from factstore.cmd.processes.accounts import REGION
from factstore.cmd.processes.api import Options, write_options
from factstore.cmd.processes.keystone import KeystoneServer
from factstore.cmd.processes.ports import LOOPBACK, free_port
from factstore.cmd.processes.private_file import private_directory
from factstore.cmd.processes.probe import Probe
from factstore.cmd.processes.process import Child, Pause, python_environment
from tests.heat.lab.accounts import STACK_USER, HeatAccounts, provision

PLUGINS = Path(__file__).with_name("plugins")
_CHECKOUT = Path(__file__).parents[3]


class HeatServer:
    """Heat with all its state in one directory, and its users in a Keystone that runs.

    The verbs act at once; only :meth:`wait_ready` waits for it to serve.
    """

    def __init__(
        self,
        state_dir: Path,
        keystone: KeystoneServer,
        *,
        plugin_dirs: Sequence[Path],
        convergence: bool = False,
        database: str | None = None,
        options: Options | None = None,
        pause: float = 1.0,
        notify_prefix: str = "",
        python: Path = Path(sys.executable),
        checkout: Path = _CHECKOUT,
    ) -> None:
        """Prepare a Heat.

        :param database: SQLAlchemy's URL. The default is SQLite, on which convergence hangs at times:
            it reuses the ids of rows, and deletes none that others depend on.
        :param pause: seconds between two steps of a task; Heat's own pause is one second.
        :param notify_prefix: if *options* name the notification driver, it is called for the stacks
            whose names begin so.
        :param python: the Python of the environment in which Heat is installed.
        :param checkout: the source of factstore and of these tests.
        """
        private_directory(state_dir)
        self._python, self._checkout = python, checkout
        self.state_dir = state_dir
        self.port = free_port()
        self.cfn_port = free_port()
        self.log_path = state_dir / "heat.log"
        self.child = Child("heat")
        self._probe = Probe(f"http://{LOOPBACK}:{self.port}")
        self.conf = state_dir / "heat.conf"
        self._arguments = (str(pause), notify_prefix)
        accounts = provision(
            keystone.accounts,
            f"heat-{self.port}",
            f"http://{LOOPBACK}:{self.port}/v1/%(tenant_id)s",
        )
        sections = _sections(
            accounts,
            state_dir,
            self.port,
            self.cfn_port,
            ",".join(map(str, (PLUGINS, *plugin_dirs))),
            database or f"sqlite:///{state_dir}/heat.db",
            convergence,
            python.parents[1] / "etc" / "heat",
        )
        for name, values in (options or {}).items():
            sections[name] = {**sections.get(name, {}), **values}
        write_options(self.conf, sections)

    @property
    def url(self) -> str:
        """The URL of its API, without version and project."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def cfn_url(self) -> str:
        """The URL of the API to which signed signals are sent."""
        return f"http://{LOOPBACK}:{self.cfn_port}/v1"

    @property
    def log(self) -> str:
        """The whole log."""
        return self.log_path.read_text(errors="replace")

    def start(self) -> None:
        """Start it, which creates the schema, and return at once. Raises ChildError."""
        self.child.start(
            [
                str(self._python),
                "-m",
                "tests.heat.lab.process",
                str(self.port),
                str(self.cfn_port),
                str(self.conf),
                *self._arguments,
            ],
            log_path=self.log_path,
            env=_environment(self._checkout),
        )

    def wait_ready(self, deadline: float = 180.0, pause: Pause = time.sleep) -> None:
        """Return once it answers. Raises ChildError."""
        # The root lists the versions with the status 300, multiple choices.
        self.child.wait_until(lambda: self._probe.status("/") == 300, deadline, pause)

    def kill(self) -> None:
        """SIGKILL it, as the out-of-memory killer would. Its data stay."""
        self.child.kill()


def _environment(checkout: Path) -> dict[str, str]:
    """Return our environment, with a checkout on the Python path."""
    paths = [str(checkout), os.environ.get("PYTHONPATH", "")]
    # Without the current directory, which may be another checkout.
    found = {**python_environment(), "PYTHONSAFEPATH": "1"}
    return {**found, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _sections(
    accounts: HeatAccounts,
    state_dir: Path,
    port: int,
    cfn_port: int,
    plugin_dirs: str,
    database: str,
    convergence: bool,
    installed: Path,
) -> dict[str, dict[str, str | int]]:
    """Return the contents of heat.conf."""
    identity = {
        "auth_url": accounts.auth_url,
        "auth_type": "password",
        "username": accounts.username,
        "password": accounts.password,
        "user_domain_id": "default",
    }
    scoped = {**identity, "project_name": "service", "project_domain_id": "default"}
    return {
        "DEFAULT": {
            "transport_url": "fake:/",
            "use_stderr": "true",
            "host": "lab",
            "convergence_engine": str(convergence).lower(),
            "stack_domain_admin": accounts.domain_admin,
            "stack_domain_admin_password": accounts.domain_admin_password,
            "stack_user_domain_id": accounts.domain,
            "stack_user_role": STACK_USER,
            "auth_encryption_key": secrets.token_hex(16),
            "plugin_dirs": plugin_dirs,
            "environment_dir": str(installed / "environment.d"),
            "template_dir": str(installed / "templates"),
            "region_name_for_services": REGION,
            "heat_metadata_server_url": f"http://{LOOPBACK}:{port}",
            "heat_waitcondition_server_url": f"http://{LOOPBACK}:{cfn_port}/v1/waitcondition",
            "deferred_auth_method": "trusts",
            "max_stacks_per_tenant": 1000,
            "enable_stack_abandon": "true",
            "enable_stack_adopt": "true",
        },
        "paste_deploy": {"api_paste_config": str(installed / "api-paste.ini")},
        "database": {"connection": database},
        "keystone_authtoken": {
            **scoped,
            "www_authenticate_uri": accounts.auth_url,
            "interface": "internal",
        },
        # Heat appends the version to the endpoint of Keystone.
        "ec2authtoken": {**scoped, "endpoint_override": accounts.auth_url.removesuffix("/v3")},
        "trustee": dict(identity),
        "clients_keystone": {"auth_uri": accounts.auth_url.removesuffix("/v3")},
        "oslo_messaging_notifications": {"driver": "noop"},
        "oslo_concurrency": {"lock_path": str(state_dir / "locks")},
    }
