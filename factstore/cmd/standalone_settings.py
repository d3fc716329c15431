"""The settings of ``factstore standalone``, and where its files are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from factstore import SERVICE_TYPE
from factstore.cmd.processes.api import API_ARGV
from factstore.cmd.processes.ports import LOOPBACK

PERSONAS = ("owner", "reader", "outsider", "admin")


@dataclass(frozen=True)
class Settings:
    """The settings from the command line."""

    port: int
    state: Path
    workers: int = 1
    keystone: bool = False
    allow_origin: str | None = None
    api_argv: Sequence[str] = API_ARGV
    access_log: bool = False
    service_type: str = SERVICE_TYPE

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def config(self) -> Path:
        return self.state / "factstore.conf"

    @property
    def own_config(self) -> Path:
        return self.state / "local.conf"

    @property
    def clouds(self) -> Path:
        return self.state / "clouds.yaml"

    @property
    def logins(self) -> Sequence[str]:
        return PERSONAS if self.keystone else ()

    @property
    def sealing_keys(self) -> Path:
        return self.state / "sealing-keys"

    @property
    def agents(self) -> Path:
        return self.state / "agents"

    @property
    def api_log(self) -> Path:
        return self.state / "api.log"

    def openrc(self, persona: str) -> Path:
        return self.state / f"openrc-{persona}"
