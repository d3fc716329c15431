"""``Lab::Server``: a substitute for ``OS::Nova::Server`` without Nova.

A server is a process on this machine (see ``tests.heat.lab.machine``), in a directory of its own below
``servers`` beside Heat's configuration.  Deleting it is as sudden as switching it off.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, ClassVar

from heat.engine import attributes, properties, resource
from oslo_config import cfg
from oslo_utils import uuidutils

_STRING, _LIST, _MAP = (getattr(properties.Schema, kind) for kind in ("STRING", "LIST", "MAP"))
_OWNER = os.getppid()
"""The process that started Heat. Servers outlive Heat, as real ones do, but not that process."""
_started: dict[str, subprocess.Popen[bytes]] = {}


class LabServer(resource.Resource):
    """A server with a name, an address and user data."""

    properties_schema: ClassVar[dict[str, properties.Schema]] = {
        "name": properties.Schema(_STRING),
        "image": properties.Schema(_STRING),
        "flavor": properties.Schema(_STRING),
        "key_name": properties.Schema(_STRING),
        "networks": properties.Schema(_LIST),
        "security_groups": properties.Schema(_LIST, default=[]),
        "metadata": properties.Schema(_MAP, update_allowed=True),
        "user_data": properties.Schema(_STRING, default=""),
        "user_data_format": properties.Schema(_STRING, default="HEAT_CFNTOOLS"),
    }
    attributes_schema: ClassVar[dict[str, attributes.Schema]] = {
        "name": attributes.Schema("The name."),
        "first_address": attributes.Schema("The address; nothing listens there."),
    }

    def handle_create(self) -> None:
        """Start the process and return at once, as Nova does."""
        identifier = str(uuid.uuid4())
        number = uuid.UUID(identifier).int
        about = {
            "name": self.properties["name"] or self.physical_resource_name(),
            # From the network kept for benchmarks of devices.
            "address": f"198.18.{1 + number % 254}.{1 + number // 254 % 254}",
            "cpus": 4,
            "metadata": self.properties["metadata"] or {},
        }
        directory = _servers() / identifier
        directory.mkdir(parents=True, mode=0o700)
        (directory / "server.json").write_text(json.dumps(about))
        (directory / "user_data").write_text(self._user_data())
        self.resource_id_set(identifier)
        with (directory / "server.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.heat.lab.machine", str(directory), str(_OWNER)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (directory / "server.pid").write_text(str(process.pid))
        _started[identifier] = process

    def handle_delete(self) -> None:
        """End the process."""
        if self.resource_id is None:
            return
        directory = _servers() / self.resource_id
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.killpg(int((directory / "server.pid").read_text()), signal.SIGKILL)
        process = _started.pop(self.resource_id, None)
        if process is not None:
            process.wait()
        shutil.rmtree(directory, ignore_errors=True)

    def handle_update(self, json_snippet: Any, tmpl_diff: Any, prop_diff: Any) -> None:
        """Ignore the metadata, which is the only property that can be updated."""

    def get_reference_id(self) -> str | None:
        """Return the id, as Nova's server does."""
        return self.resource_id

    def _user_data(self) -> str:
        """Return the user data, from the software configuration that an id names if there is one."""
        given: str = self.properties["user_data"]
        if not uuidutils.is_uuid_like(given):
            return given
        config: str = self.rpc_client().show_software_config(self.context, given)["config"]
        return config

    def _resolve_attribute(self, name: str) -> Any:
        if self.resource_id is None:
            return None
        about = json.loads((_servers() / self.resource_id / "server.json").read_text())
        return about["name" if name == "name" else "address"]


def _servers() -> Path:
    return Path(cfg.CONF.config_file[0]).parent / "servers"


def resource_mapping() -> dict[str, type[resource.Resource]]:
    """Return the resource types by name."""
    return {"Lab::Server": LabServer}
