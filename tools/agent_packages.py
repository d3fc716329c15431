#!/usr/bin/env python3
"""Build packages of the agent for Debian and for distributions with rpm.

    agent_packages.py deb [DIRECTORY]    needs dpkg-deb
    agent_packages.py rpm [DIRECTORY]    needs rpmbuild

The packages do not depend on an architecture, and need only Python 3.9.  They contain the file that
:mod:`agent_zipapp` builds, units for one stack and for several, a user, a completion for bash, and the
directories of the configuration.  Nothing is started before there is a configuration.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import agent_zipapp

ROOT = Path(__file__).resolve().parents[1]
NAME = "factstore-agent"
PROGRAM = f"/usr/bin/{NAME}"
SUMMARY = "publishes facts about an instance, and applies its stack's context"
DESCRIPTION = """\
The agent makes an instance a member of a stack of factstore. It publishes facts
about the instance, writes files from the facts of all members, and runs hooks
whenever they change."""
DIRECTORIES = ("facts.d", "hooks.d", "templates")
EPOCH = "946684800"  # equal sources give equal packages

# An update of the package reloads running agents, which then stay members.
CONFIGURE = f"""\
systemd-sysusers {NAME}.conf >/dev/null 2>&1 || :
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    systemctl list-units --plain --no-legend --state=active '{NAME}*.service' |
        while read -r unit rest; do
            systemctl reload "$unit" || :
        done
fi
"""
REMOVE = f"""\
if [ -d /run/systemd/system ]; then
    systemctl list-units --plain --no-legend '{NAME}*.service' | while read -r unit rest; do
        systemctl disable --now "$unit" >/dev/null 2>&1 || :
    done
fi
"""


def lay_out(tree: Path) -> None:
    """Write the files of the package below *tree*."""
    # The packages require this Python, and another one on the PATH may be too old.
    agent_zipapp.build(tree / PROGRAM.lstrip("/"), python="/usr/bin/python3")
    units = tree / "usr/lib/systemd/system"
    unit = (ROOT / "etc/systemd" / f"{NAME}.service").read_text()
    (start,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    _write(units / f"{NAME}.service", unit.replace(start, f"ExecStart={PROGRAM} run"))
    _write(units / f"{NAME}@.service", _second(unit, start))
    _copy("etc/sysusers.d", tree / "usr/lib/sysusers.d", f"{NAME}.conf")
    _copy("etc/bash-completion", tree / "usr/share/bash-completion/completions", NAME)
    _write(tree / "usr/share/doc" / NAME / "copyright", (ROOT / "LICENSE").read_text())
    for name in DIRECTORIES:
        (tree / "etc/factstore" / name).mkdir(parents=True)


def _second(unit: str, start: str) -> str:
    """Return the unit of a further agent, with a configuration in /etc/factstore/<instance>."""
    for old, new in (
        ("Description=factstore agent", "Description=factstore agent of %i"),
        (start, f"ExecStart={PROGRAM} --config /etc/factstore/%i/agent.conf run"),
        (f"StateDirectory={NAME}", f"StateDirectory={NAME}-%i"),
    ):
        if f"{old}\n" not in unit:
            raise ValueError(f"The unit has no line {old!r}.")
        unit = unit.replace(f"{old}\n", f"{new}\n")
    return unit


def build_deb(directory: Path, version: str) -> Path:
    """Build a package for Debian and its derivatives."""
    file = directory / f"{NAME}_{version}_all.deb"
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        lay_out(tree)
        paragraphs = "".join(f" {line}\n" for line in DESCRIPTION.splitlines())
        _write(
            tree / "DEBIAN/control",
            f"Package: {NAME}\nVersion: {version}\nArchitecture: all\nSection: admin\n"
            "Priority: optional\nMaintainer: factstore developers\nDepends: python3 (>= 3.9)\n"
            "Recommends: ca-certificates\nSuggests: python3-keystoneauth1\n"
            f"Description: {SUMMARY}\n{paragraphs}",
        )
        _write(
            tree / "DEBIAN/postinst",
            f'#!/bin/sh\nset -e\nif [ "$1" = configure ]; then\n{CONFIGURE}fi\n',
            0o755,
        )
        _write(
            tree / "DEBIAN/prerm",
            f'#!/bin/sh\nset -e\nif [ "$1" = remove ]; then\n{REMOVE}fi\n',
            0o755,
        )
        _call("dpkg-deb", "--root-owner-group", "-Zxz", "--build", tree, file)
    return file


def build_rpm(directory: Path, version: str) -> Path:
    """Build a package for distributions with rpm."""
    with tempfile.TemporaryDirectory() as folder:
        tree, spec, built = (
            Path(folder, "tree"),
            Path(folder, f"{NAME}.spec"),
            Path(folder, "built"),
        )
        lay_out(tree)
        files = [f"/{file.relative_to(tree)}" for file in sorted(tree.rglob("*")) if file.is_file()]
        folders = ["%dir /etc/factstore", *(f"%dir /etc/factstore/{name}" for name in DIRECTORIES)]
        spec.write_text(
            f"""\
%global __brp_mangle_shebangs /bin/true
%global __brp_python_bytecompile /bin/true
%global _build_id_links none
Name: {NAME}
Version: {version}
Release: 1
Summary: {SUMMARY[0].upper()}{SUMMARY[1:]}
License: Apache-2.0
BuildArch: noarch
AutoReqProv: no
Requires: python3 >= 3.9
Requires: systemd
Recommends: ca-certificates
%description
{DESCRIPTION}
%install
cp -a {tree}/. %{{buildroot}}/
%post
{CONFIGURE}
%preun
if [ "$1" = 0 ]; then
{REMOVE}
fi
:
%files
%defattr(-,root,root,-)
"""
            + "\n".join([*folders, *files, ""])
        )
        settings = {
            "_topdir": f"{folder}/work",
            "_rpmdir": built,
            "_buildhost": "localhost",
            "use_source_date_epoch_as_buildtime": 1,
            "clamp_mtime_to_source_date_epoch": 1,
        }
        defined = [
            word for name, value in settings.items() for word in ("--define", f"{name} {value}")
        ]
        _call("rpmbuild", "-bb", "--quiet", "--target", "noarch", *defined, spec)
        (package,) = built.rglob("*.rpm")
        return Path(shutil.move(package, directory / package.name))


def _copy(source: str, target: Path, name: str) -> None:
    _write(target / name, (ROOT / source / name).read_text())


def _write(file: Path, text: str, mode: int = 0o644) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)


def _call(*command: object) -> None:
    environ = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    words = [str(word) for word in command]
    subprocess.run(words, check=True, stdout=sys.stderr, env=environ)  # noqa: S603 - our own


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=("deb", "rpm"))
    parser.add_argument("directory", nargs="?", type=Path, default=ROOT / "dist")
    args = parser.parse_args()
    args.directory.mkdir(exist_ok=True)
    os.umask(0o022)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    build = build_deb if args.kind == "deb" else build_rpm
    print(build(args.directory, project["version"]))


if __name__ == "__main__":
    main()
