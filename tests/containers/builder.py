"""Images and containers, with Buildah.

Buildah's isolation "chroot" needs neither cgroups nor a runtime, so it works inside containers, too.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.images.root import CACHE, DEBIAN_12, ROOT

BASE = "localhost/base"
WHEELS = "/wheels"


class Builder:
    """Builds images from a base that is made here, and runs them.

    :param directory: of the images, the containers and the wheels.
    :param network: the beginning of a command line that runs a command in the containers' network.
    """

    def __init__(self, directory: Path, network: Sequence[str]) -> None:
        self._stores = [f"--root={directory}/images", f"--runroot={directory}/run"]
        self._network = network
        self.directory = directory

    def buildah(self, command: str, *arguments: object, network: bool = False) -> list[str]:
        """Return the command line of a command of Buildah."""
        line = ["buildah", *self._stores, command, *map(str, arguments)]
        return self.network(line) if network else line

    def network(self, command: Sequence[str]) -> list[str]:
        """Return a command line that runs a command in the network of the containers."""
        return [*self._network, *command]

    def call(self, command: str, *arguments: object) -> str:
        """Run a command of Buildah and return what it printed."""
        return run(self.buildah(command, *arguments))

    def make_base(self) -> None:
        """Make the base image, from the root file system that other tests use."""
        archive = self.directory / "base.tar"
        run(["tar", "-C", str(DEBIAN_12.root()), "-cf", str(archive), "."])
        empty = self.call("from", "scratch").strip()
        self.call("add", empty, archive, "/")
        self.call("commit", "--rm", empty, BASE)
        archive.unlink()

    def podman(self, wheels: Path) -> str:
        """Return a shell function ``podman build`` that uses the base and a directory of wheels."""
        options = [
            "--isolation=chroot",
            "--pull=never",
            f"--volume={wheels}:{WHEELS}:ro",
            f"--build-arg=BASE={BASE}",
            f"--build-arg=PIP_ARGS=--no-index --find-links={WHEELS}",
        ]
        command = shlex.join(self.buildah("bud", *options))
        return f'podman() {{ [ "$1" = build ]; shift; {command} "$@"; }}'

    def settings(self, image: str) -> dict[str, Any]:
        """Return the settings of an image."""
        found = json.loads(self.call("inspect", "--type=image", image))
        settings: dict[str, Any] = found["Docker"]["config"]
        return settings

    def container(self, name: str, image: str, hosts: Sequence[str]) -> None:
        """Create a container.

        :param hosts: names of the loopback interface in its ``/etc/hosts``.  A volume there would be
            hidden at times: Buildah mounts a file of its own at the same path, in a random order.
        """
        known = [f"--add-host={each}:127.0.0.1" for each in hosts]
        self.call("from", "--pull=never", f"--name={name}", *known, image)

    def in_container(
        self,
        name: str,
        command: Sequence[str],
        environ: Mapping[str, str] | None = None,
        volumes: Sequence[str] = (),
    ) -> list[str]:
        """Return the command line that runs a command in a container."""
        options = [f"--env={key}={value}" for key, value in (environ or {}).items()]
        options += [f"--volume={volume}" for volume in volumes]
        return self.buildah(
            "run", "--isolation=chroot", *options, name, "--", *command, network=True
        )


def download_wheels() -> Path:
    """Return a directory with all packages of the two images, fetched once and kept."""
    directory, constraints = CACHE / "wheels", ROOT / "constraints.txt"
    made = CACHE / "wheels.made"
    wanted = constraints.read_text() + (ROOT / "pyproject.toml").read_text()
    if not made.exists() or made.read_text() != wanted:
        pip = [sys.executable, "-m", "pip", "download", "-q", "-d", str(directory)]
        run([*pip, "-c", str(constraints), f"{ROOT}[server,agent,memcached,page]"])
        requires = run([sys.executable, ROOT / "tools" / "agent_zipapp.py", "--requirements"])
        run([*pip, "setuptools>=77", *requires.split()])
        run([*pip, "keystone>=26.0", "gunicorn>=22.0", "python-openstackclient>=7.5"])
        made.write_text(wanted)
    return directory


def run(command: Sequence[object]) -> str:
    """Run a command and return what it printed."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )
    assert done.returncode == 0, f"{command}: {(done.stdout + done.stderr)[-3000:]}"
    return done.stdout
