"""schemathesis as a child process, which tests a service against its OpenAPI document."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factstore.cmd.processes.private_file import write_private

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
MAIN = "from schemathesis.cli import schemathesis; schemathesis()"


@dataclass(frozen=True)
class Outcome:
    """The result of a run.

    :param text: what schemathesis said; :param report: the same for programs.
    """

    status: int
    text: str
    report: dict[str, Any]

    def accepted(self) -> dict[str, int]:
        """Return the number of valid requests that the service accepted, by operation."""
        return {
            operation: sum(phase["accepted"] for phase in phases.values())
            for operation, phases in self.report["valid_rates"].items()
        }


def run(url: str, directory: Path, *arguments: str) -> Outcome:
    """Test a service against its document, with the configuration beside this file."""
    report = directory / "report.json"
    done = subprocess.run(
        [
            *command(url, directory),
            *("--report", "json", "--report-json-path", str(report)),
            *arguments,
        ],
        cwd=directory,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    found = json.loads(report.read_text()) if report.exists() else {}
    return Outcome(done.returncode, done.stdout, found)


def command(url: str, directory: Path, token: str | None = None) -> Sequence[str]:
    """Return the beginning of the command line, and write the configuration into *directory*."""
    config = directory / "schemathesis.toml"
    text = (HERE / "schemathesis.toml").read_text()
    if token is not None:
        text += f'\n[auth.openapi.token]\napi_key = "{token}"\n'
    write_private(config, text)
    return [
        *(sys.executable, "-c", MAIN),
        *("--config-file", str(config), "run", f"{url}/v1/openapi.json", "--no-color"),
    ]


def environment() -> dict[str, str]:
    """Return the environment of the child, without a proxy to the service."""
    return {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
        "NO_PROXY": "*",
    }
