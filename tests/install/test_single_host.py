"""The page about an installation on one host, run as it is, on a host of its own.

The shell is root's.  It has a network, processes and a view of the file system of its own: what it
writes below ``/etc``, ``/opt``, ``/usr/local`` and ``/var`` is gone with it.  So nothing on the page
needs another path or port.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, code
from tests.docs.shell import Shell, titles_of_blocks

PAGE = "install/index.rst"
CHANGED = ("etc", "opt", "var", "usr/local")
HOST = ("unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# There is no network but loopback, so packages of Debian must be there, and those of Python are wheels.
NEW_HOST = f"""
ip link set lo up
mkdir layers
mount -t tmpfs tmpfs layers
for name in {" ".join(CHANGED)}; do
    layer=$PWD/layers/$name
    mkdir -p $layer/upper $layer/work
    mount -t overlay -o lowerdir=/$name,upperdir=$layer/upper,workdir=$layer/work overlay /$name
done
mount -t tmpfs tmpfs /run
rm -rf /etc/factstore /etc/default/etcd /opt/factstore /var/lib/factstore /var/log/factstore
find /var/lib/etcd -mindepth 1 -delete
touch /etc/default/etcd
! id factstore 2>/dev/null || userdel factstore
echo 127.0.0.1 localhost controller > /etc/hosts
install /dev/stdin /usr/local/bin/systemctl <<'END'
#!/bin/sh
exec {sys.executable} {ROOT}/tests/install/systemctl.py "$@"
END
install /dev/stdin /usr/local/bin/apt-get <<'END'
#!/bin/sh
[ "$1 $2" = "install -y" ] && shift 2 && exec dpkg-query -W "$@"
END
"""

KEYSTONE = """
import signal, sys
from pathlib import Path
from factstore.cmd.processes.keystone import KeystoneServer

keystone = KeystoneServer(Path("keystone"), port=5000)
keystone.prepare()
keystone.start()
keystone.wait_ready()
keystone.accounts.provision("http://controller:8796")
keystone.accounts.write_openrc(Path("new"), "admin")
Path("new").rename("openrc")
signal.pause()
"""


def fetch_wheels(directory: Path) -> None:
    """Fetch the packages of the service, for the Python of the page."""
    subprocess.run(["python3", "-m", "venv", directory / "venv"], check=True)
    requires = [sys.executable, str(ROOT / "tools" / "agent_zipapp.py"), "--requirements"]
    agent = subprocess.run(requires, check=True, capture_output=True, text=True).stdout.split()
    pip = [directory / "venv" / "bin" / "pip", "download", "-q", "-d", directory / "wheels"]
    subprocess.run([*pip, f"{directory}/source[server]", "setuptools>=77", *agent], check=True)


def clone(directory: Path) -> None:
    """Make a repository of the files as they are, and a clone of it in ``source``."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (directory / "upstream" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, directory / "upstream" / name)
    git(directory / "upstream", "init", "-q")
    commit(directory / "upstream")
    git(directory, "clone", "-q", "upstream", "source")


def commit(repository: Path) -> None:
    """Commit everything."""
    git(repository, "add", "-A")
    who = ("-c", "user.name=factstore", "-c", "user.email=factstore@example.org")
    git(repository, *who, "commit", "-q", "-m", "change")


def git(directory: Path, *arguments: str) -> None:
    """Run a command of git."""
    subprocess.run(["git", *arguments], cwd=directory, check=True)


def release(directory: Path, version: str) -> None:
    """Publish a version in the repository that was cloned."""
    project = directory / "upstream" / "pyproject.toml"
    former = project.read_text()
    project.write_text(former.replace('\nversion = "0.1.0"', f'\nversion = "{version}"'))
    assert project.read_text() != former
    commit(directory / "upstream")


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="the page is for Debian")
def test_a_service_on_one_host_is_installed_restored_and_upgraded(tmp_path: Path) -> None:
    assert os.geteuid() == 0, "this needs root: sudo make test-install"
    hidden = [f"/{name}" for name in CHANGED if tmp_path.is_relative_to(f"/{name}")]
    assert not hidden, (
        f"the host would not see {tmp_path}: set TMPDIR to a directory outside of {hidden}"
    )
    assert code(PAGE, "console") == []  # such a block would not be run
    clone(tmp_path)
    fetch_wheels(tmp_path)
    environ = {
        "PATH": f"{PATH}:{Path(sys.executable).parent}",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "CONTROLLER": "controller",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path / "wheels"),
        "PIP_CONFIG_FILE": os.devnull,
    }
    with Shell(tmp_path, environ, (*HOST, "bash", "-e")) as shell:
        shell.run(NEW_HOST)
        shell.run(f"{sys.executable} - <<'END' &\n{KEYSTONE}\nEND\n")
        shell.run("until [ -e openrc ]; do sleep 0.1; done; . ./openrc")
        # The lab Keystone knows the service already.
        shell.run("openstack service delete factstore; openstack user delete factstore")
        shell.run("cd source")
        printed: dict[str, str] = {}
        for title, block in zip(titles_of_blocks(PAGE, "shell"), code(PAGE, "shell"), strict=True):
            if title == "Restore" and title not in printed:
                shell.run(
                    'curl -sS -f -X PUT -H "X-Auth-Token: $TOKEN" -d lost '
                    "$URL/v1/stacks/check/facts/installation"
                )
            if title == "Upgrade":
                release(tmp_path, "0.1.1")
            printed[title] = printed.get(title, "") + shell.run(block)
            if title == "Sealing keys":
                names = shell.run("stat -c '%U %a' /etc/factstore/sealing-keys/?")
                assert names == "factstore 600\n" * 2
        verified = printed["Verify the installation"]
        assert "active\nactive\n" in verified
        assert "etcd answers" in verified
        assert verified.endswith("worksfactstore-agent 0.1.0\n")
        assert shell.run("factstore --version") == "0.1.1\n"
        fact = '-H "X-Auth-Token: $TOKEN" "$URL/v1/stacks/check/facts/installation?format=raw"'
        assert shell.run(f"curl -sS -f {fact}") == "works"
        users = shell.run("ps -eo user:20,args | grep '[f]actstore/bin/'")
        assert {line.split()[0] for line in users.splitlines()} == {"factstore"}
        logs = shell.run("cat /run/units/factstore-*.log")
        assert "ERROR" not in logs, logs
        assert "Traceback" not in logs, logs
