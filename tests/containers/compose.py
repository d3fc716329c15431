"""The services of a compose file, each in a container of Buildah."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import yaml

from tests.containers.builder import Builder, run
from tests.eventually import eventually

MINUTES = 20 * 60.0
_VARIABLE = re.compile(r"\$\{(\w+):\?[^}]*\}")


@dataclass
class Service:
    """A service, and its container once it has been started."""

    name: str
    image: str
    command: list[str]
    environ: dict[str, str]
    volumes: list[str]
    after: dict[str, str]
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)


class Compose:
    """Starts the services of a file in the order of their dependencies; a context manager.

    Named volumes are directories that belong to the user of the image, as they do with Podman.
    """

    def __init__(self, file: Path, environ: Mapping[str, str], builder: Builder) -> None:
        text = _VARIABLE.sub(lambda found: environ[found[1]], file.read_text())
        self._builder = builder
        self._directory = builder.directory
        document = yaml.safe_load(text)
        self._volumes: dict[str, Any] = document["volumes"]
        self._file = file
        self._created = self._directory / "created"
        self._created.touch()
        self.services = {
            name: self._service(name, each) for name, each in document["services"].items()
        }
        self._logs: list[IO[bytes]] = []

    def _service(self, name: str, each: dict[str, Any]) -> Service:
        settings = self._builder.settings(each["image"])
        after = each.get("depends_on", {})
        if isinstance(after, list):
            after = {other: {"condition": "service_started"} for other in after}
        return Service(
            name,
            each["image"],
            each.get("command") or settings["Cmd"],
            {key: str(value) for key, value in each.get("environment", {}).items()},
            [self._mount(volume, settings) for volume in each.get("volumes", ())],
            {other: dependency["condition"] for other, dependency in after.items()},
        )

    def _mount(self, volume: str, settings: dict[str, Any]) -> str:
        source, target = volume.split(":", 1)
        if source.startswith("."):
            return f"{(self._file.parent / source).resolve()}:{target}"
        assert source in self._volumes, f"the volume {source} is not declared"
        directory = self._directory / "volumes" / source
        if not directory.exists():
            directory.mkdir(parents=True, mode=0o700)
            user = (settings.get("User") or "0").partition(":")[0]
            os.chown(directory, int(user), int(user))
        return f"{directory}:{target}:rw"

    def start(self) -> None:
        """Start all services; those that others wait for have ended then."""
        for name in self.services:
            self._start(name)

    def _start(self, name: str) -> None:
        service = self.services[name]
        if service.process is not None:
            return
        for other, condition in service.after.items():
            self._start(other)
            if condition == "service_completed_successfully":
                self._wait_for_success(other)
        # All containers have one loopback interface and no DNS server.
        self._builder.container(name, service.image, hosts=list(self.services))
        log = self.log(name).open("wb")
        self._logs.append(log)
        command = self._builder.in_container(
            name, service.command, service.environ, service.volumes
        )
        service.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )

    def _wait_for_success(self, name: str) -> None:
        process = self.services[name].process
        assert process is not None
        eventually(lambda: process.poll() is not None, MINUTES, 0.1)
        assert process.returncode == 0, f"{name}: {self.log(name).read_text()[-3000:]}"

    def log(self, name: str) -> Path:
        """Return the log of a service."""
        return self._directory / f"{name}.log"

    def main_process(self, name: str) -> int:
        """Return the process id of a service's program: of its first, in the container."""
        service = self.services[name]
        assert service.process is not None
        session = run(["ps", "-o", "pid=,args=", "--sid", service.process.pid]).splitlines()
        program = service.command[0]
        found = [line.split() for line in session if re.search(rf"/(bin/)?{program}( |$)", line)]
        return min(int(words[0]) for words in found if "buildah" not in words[1])

    def healthy(self, name: str) -> bool:
        """Return the result of the healthcheck of a service's image, in its container."""
        service = self.services[name]
        kind, *command = self._builder.settings(service.image)["Healthcheck"]["Test"]
        assert kind == "CMD"
        check = self._builder.in_container(name, command, service.environ, service.volumes)
        return subprocess.run(check, capture_output=True, check=False).returncode == 0

    def written_files(self, name: str) -> list[str]:
        """Return the files that a service wrote outside of its volumes and /tmp."""
        root = self._builder.call("mount", name).strip()
        skip = ["-path", f"{root}/tmp", "-prune", "-o"]
        created = self._created
        found = run(["find", root, "-xdev", *skip, "-type", "f", "-newer", created, "-print"])
        names = [line.removeprefix(root) for line in found.splitlines()]
        mounted = {volume.split(":")[1] for volume in self.services[name].volumes}
        return [each for each in names if each not in mounted]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for service in self.services.values():
            if service.process is not None:
                subprocess.run(
                    ["pkill", "-KILL", "--session", str(service.process.pid)], check=False
                )
                service.process.wait(60)
        for log in self._logs:
            log.close()
