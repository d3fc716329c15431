"""The page about containers, run as it is: the images are built, and the example is started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.builder import BASE, Builder, download_wheels
from tests.containers.compose import Compose
from tests.docs.pages import ROOT, code
from tests.docs.shell import Shell
from tests.eventually import eventually

PAGE = "install/containers.rst"
EXAMPLE = ROOT / "examples" / "compose"
ETCD = "quay.io/coreos/etcd:v3.5.33"
BUILD_SECONDS = 1200.0  # two images with all their packages
START = "podman-compose up --detach"


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Builder]:
    """A builder whose containers have a network of their own, so that ports are free in it."""
    assert os.geteuid() == 0, "this needs root: sudo make test-containers"
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "up\n"
        builder = Builder(tmp_path, ["nsenter", f"--net=/proc/{holder.pid}/ns/net"])
        try:
            yield builder
        finally:
            builder.call("rm", "--all")
            builder.call("rmi", "--all", "--force")
    finally:
        holder.kill()
        holder.wait(30)
        assert holder.stdout is not None
        holder.stdout.close()


def make_etcd(builder: Builder) -> None:
    """Make an image with this machine's etcd, in the place of the one that cannot be fetched here."""
    program = subprocess.run(["which", "etcd"], capture_output=True, text=True, check=True)
    container = builder.call("from", "--pull=never", BASE).strip()
    builder.call("copy", container, program.stdout.strip(), "/usr/local/bin/etcd")
    builder.call("commit", "--rm", container, ETCD)


def test_the_images_are_built_and_the_example_runs_as_documented(
    builder: Builder, tmp_path: Path
) -> None:
    build, start, verify = code(PAGE, "shell")
    assert start.endswith(START)
    builder.make_base()
    environ = {name: text for name, text in os.environ.items() if not name.startswith("OS_")}
    environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    # In the network of the containers, and not in that of other tests, which may use the same ports.
    with (
        Shell(ROOT, environ, output=tmp_path / "build.log") as outside,
        Shell(
            ROOT,
            environ,
            builder.network(["bash", "-e"]),
            output=tmp_path / "shell.log",
        ) as shell,
    ):
        outside.run(builder.podman(download_wheels()))
        outside.run(build, BUILD_SECONDS)
        make_etcd(builder)

        shell.run(start.removesuffix(START))
        secrets = shell.run('echo "$ADMIN_PASSWORD $SERVICE_PASSWORD"').split()
        passwords = dict(zip(("ADMIN_PASSWORD", "SERVICE_PASSWORD"), secrets, strict=True))
        with Compose(EXAMPLE / "compose.yaml", passwords, builder) as compose:
            compose.start()
            for name in ("api", "notify"):
                eventually(lambda name=name: compose.healthy(name), 120, 0.5)
            assert "works\n" in shell.run(verify)

            assert compose.written_files("api") == compose.written_files("notify") == []
            etcd = compose.main_process("etcd")
            os.kill(etcd, signal.SIGSTOP)
            eventually(lambda: not compose.healthy("api"), 60, 0.5)
            os.kill(etcd, signal.SIGCONT)
            eventually(lambda: compose.healthy("api"), 60, 0.5)
            for name in ("api", "notify"):
                running = compose.services[name].process
                assert running is not None
                os.kill(compose.main_process(name), signal.SIGTERM)
                assert running.wait(30) == 0, compose.log(name).read_text()[-3000:]
            for name in ("factstore", "factstore-agent"):
                version = builder.in_container("api", [name, "--version"])
                subprocess.run(version, check=True)
