"""The commands of the tutorial with two instances print what its text says."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from factstore.cmd.processes.etcd import EtcdServer
from tests.agents import programs
from tests.docs.pages import code
from tests.docs.terminals import ADDRESS
from tests.service import ApiServer

PAGE = "tutorial/first-stack.rst"
END = "echo '--- the next step ---'\n"


def test_two_instances_find_each_other_and_one_is_missed(
    private_etcd: EtcdServer, tmp_path: Path
) -> None:
    settings, *steps, clean = code(PAGE, "shell")
    said = code(PAGE, "text")
    environ = {**os.environ, "PATH": programs(tmp_path / "bin"), "TMPDIR": str(tmp_path)}
    with ApiServer([private_etcd.endpoint], tmp_path / "api") as api:
        # One shell, as in one terminal, with the job control that a terminal has.
        kept = f"cp -r $DIR {tmp_path}/kept\n"
        script = "\n".join(
            ["set -em", settings, *(f"{step}\n{END}" for step in steps), kept, clean]
        )
        done = subprocess.run(
            ["bash", "-c", script.replace(ADDRESS, api.url)],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=240,
        )
    logs = "\n".join(log.read_text() for log in tmp_path.glob("*/n?/log"))
    assert done.returncode == 0, (done.stdout, done.stderr, logs)
    printed = [step.strip() for step in done.stdout.split("--- the next step ---")]
    checked, alone, both, left = (text.strip() for text in said)
    assert checked in printed[1].splitlines()
    assert printed[2] == alone
    assert printed[4] == both
    assert printed[5] == left
    kept_at = tmp_path / "kept"
    (event,) = json.loads((kept_at / "died").read_text())["events"]
    assert [(change["type"], change["name"]) for change in event["changes"]] == [
        ("member.expire", "n2")
    ]
    assert json.loads((kept_at / "convergence").read_text())["converged"]
    assert "here a daemon would be restarted" in (kept_at / "n1" / "log").read_text()
    assert (kept_at / "n1" / "grant").stat().st_mode & 0o077 == 0
