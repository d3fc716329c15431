"""Ansible's own checks of the collection."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ansible.release import __version__

from tests.docs.pages import ROOT

# The checks install pip with a script that they download. Python has a pip, too, for machines that only
# reach a package index.
GET_PIP = "import ensurepip\nensurepip.bootstrap()\n"
# The collection's licence is that of the project.
IGNORED = "{} validate-modules:missing-gplv3-license\n"
KINDS = ("inventory", "lookup", "modules")


def test_ansible_test_finds_nothing(tmp_path: Path) -> None:
    collection = tmp_path / "ansible_collections" / "factstore" / "stack"
    shutil.copytree(ROOT / "ansible", collection, ignore=shutil.ignore_patterns("__pycache__"))
    documented = [
        path for kind in KINDS for path in sorted(collection.glob(f"plugins/{kind}/*.py"))
    ]
    ignored = "".join(IGNORED.format(path.relative_to(collection)) for path in documented)
    sanity = collection / "tests" / "sanity"
    sanity.mkdir(parents=True)
    version = ".".join(__version__.split(".")[:2])
    (sanity / f"ignore-{version}.txt").write_text(ignored)
    cache = tmp_path / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True)
    for pip in ("23_1_2", "24_2", "25_2", "25_3", "26_0"):  # of the versions of ansible-test
        (cache / f"get_pip_{pip}.py").write_text(GET_PIP)
    subprocess.run(["git", "init", "--quiet"], cwd=collection, check=True)
    subprocess.run(["git", "add", "--all"], cwd=collection, check=True)
    folder = Path(sys.executable).parent
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    checked = subprocess.run(
        [folder / "ansible-test", "sanity", "--python", python],
        cwd=collection,
        env={
            **os.environ,
            "HOME": str(tmp_path),
            "LC_ALL": "C.UTF-8",
            "PATH": f"{folder}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    output = checked.stdout + checked.stderr
    assert checked.returncode == 0, output
    for check in ("ansible-doc", "import", "pylint", "validate-modules", "yamllint"):
        assert f'Running sanity test "{check}"' in output
