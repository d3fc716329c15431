"""Take the screenshots of the documentation: ``python -m tests.console.screenshots``.

It starts a service with the console and runs the nodes of the Slurm example against it.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from factstore.cmd.processes.etcd import EtcdServer
from tests.console.chromium import Chromium, Page
from tests.eventually import eventually
from tests.http import Caller
from tests.service import ApiServer

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "doc" / "source" / "images"
PROGRAM = ROOT / "examples" / "slurm" / "simulate.py"
PATIENCE = 600.0  # seconds for the nodes
LARGEST = 400_000  # bytes of a picture; lines that cross each other need most of them


def main() -> int:
    """Take them, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--nodes", type=int, default=200, help="compute nodes (default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, default=IMAGES, help="directory of the pictures")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="console-") as scratch:
        take(args.nodes, args.output, Path(scratch))
    return 0


def take(nodes: int, output: Path, scratch: Path) -> None:
    """Run the nodes, and take pictures meanwhile."""
    etcd = EtcdServer(scratch / "etcd")
    options = {"console": {"enabled": "true"}}
    try:
        etcd.start()
        etcd.wait_ready()
        with (
            ApiServer([etcd.endpoint], scratch / "api", options=options) as api,
            Chromium(scratch / "chromium") as chromium,
            Caller(api.url) as caller,
        ):
            environ = {**os.environ, "OS_AUTH_TYPE": "none", "OS_ENDPOINT": api.url}
            command = [sys.executable, str(PROGRAM), "--url", api.url, f"--nodes={nodes}"]
            command = [*command, "--join=0"]
            with subprocess.Popen(command, env=environ, start_new_session=True) as simulation:
                try:
                    stack = eventually(lambda: caller.get("/v1/stacks").json()["stacks"], PATIENCE)
                    shoot(chromium, f"{api.url}/console/#/stacks/{stack[0]['name']}", nodes, output)
                finally:
                    os.killpg(simulation.pid, signal.SIGKILL)  # with the processes of its nodes
    finally:
        etcd.kill()


def shoot(chromium: Chromium, url: str, nodes: int, output: Path) -> None:
    """Take each picture when the stack is as it shows."""
    overview, facts = chromium.page(width=1120, height=780), chromium.page(width=1120, height=780)
    overview.prefer(color_scheme="light")
    facts.prefer(color_scheme="dark")
    overview.open(url)
    facts.open(f"{url}/facts/nodes/head/ip")
    members = "Number(document.querySelector('[data-figure=members] dd')?.textContent)"
    done = "parseInt(document.querySelector('[data-figure=converged] dd')?.textContent)"
    until(overview, f"{members} > {nodes // 2} && {done} > {nodes // 4}")
    write(overview, output / "console-overview.png")
    until(facts, "document.querySelector('.timeline li')")
    write(facts, output / "console-facts.png")


def until(page: Page, expression: str) -> None:
    """Wait for an expression, for as long as the nodes need."""
    eventually(lambda: page.js(f"Boolean({expression})"), PATIENCE)


def write(page: Page, path: Path) -> None:
    """Write a picture, which must be small."""
    page.screenshot(path)
    size = path.stat().st_size
    assert size < LARGEST, f"{path} has {size} bytes"
    print(f"{path.relative_to(ROOT)}: {size} bytes", flush=True)


if __name__ == "__main__":
    sys.exit(main())
