#!/usr/bin/env python3
"""Build the agent as one file, which runs on Python 3.9 or newer with nothing else installed.

    agent_zipapp.py [FILE]          write the file, by default where the service looks for it
    agent_zipapp.py --requirements  print the packages that the file contains, with their versions

The file is a zip archive of the agent, its client, and the pure Python parts of Jinja2, MarkupSafe and
PyYAML.  Equal sources give equal bytes: members are sorted, and have one time and one mode.

setuptools runs :class:`BuildPy`, so that wheels and editable installations of the service contain the
file.  Its packages are those of ``[build-system] requires``, which installers put into an environment
of their own.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import io
import os
import sys
import tomllib
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

try:
    from setuptools.command.build_py import build_py
except ImportError:  # the program does not need it
    build_py = object

ROOT = Path(__file__).resolve().parents[1]
FILE = Path("factstore", "api", "files", "factstore-agent.pyz")
PARTS = (
    "factstore/__init__.py",
    "factstore/agent",
    "factstore/client",
    "factstore/scrape_targets.py",
)
BUNDLED = ("jinja2", "markupsafe", "pyyaml")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time in a zip archive


def build(file: Path, *, root: Path = ROOT, python: str = "/usr/bin/env python3") -> None:
    """Write the agent's file.

    :param python: the command that runs the file.
    :raises importlib.metadata.PackageNotFoundError: a package that it contains is not installed.
    """
    members = dict(_own_members(root))
    for name in BUNDLED:
        members.update(dict(_package_members(name)))
    digest = hashlib.sha256(repr(sorted(members.items())).encode()).hexdigest()
    main = (ROOT / "tools" / "agent_main.py").read_text(encoding="utf-8")
    members["__main__.py"] = main.replace("@BUILD@", digest[:16]).encode()
    archive = io.BytesIO()
    archive.write(f"#!{python}\n".encode())
    with zipfile.ZipFile(archive, "w") as contents:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system, info.external_attr = 3, 0o100644 << 16  # on every system as on Unix
            contents.writestr(info, members[name], zipfile.ZIP_DEFLATED, 9)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_bytes(archive.getvalue())
    partial.chmod(0o755)
    partial.replace(file)


def requirements(root: Path = ROOT) -> list[str]:
    """Return the packages in the file, with their versions."""
    required = _project(root)["build-system"]["requires"]
    return [each for each in required if each.partition("==")[0] in BUNDLED]


def _own_members(root: Path) -> Iterator[tuple[str, bytes]]:
    for part in PARTS:
        path = root / part
        for file in [path] if path.is_file() else path.rglob("*"):
            if file.suffix in (".py", ".typed"):
                yield file.relative_to(root).as_posix(), file.read_bytes()
    project = _project(root)["project"]
    name, version = project["name"], project["version"]
    # importlib.metadata finds the version here, as it does in an installation.
    yield (
        f"{name.replace('-', '_')}-{version}.dist-info/METADATA",
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
    )
    yield "LICENSE", (root / "LICENSE").read_bytes()


def _package_members(name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the Python files and the licences of an installed package."""
    for path in importlib.metadata.files(name) or ():
        licence = "licenses" in path.parts or path.name.startswith("LICENSE")
        if ".." not in path.parts and (path.suffix == ".py" or licence):
            yield path.as_posix(), path.read_binary()


def _project(root: Path) -> dict[str, object]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


class BuildPy(build_py):
    """Adds the agent's file to the package, or to the source tree in an editable installation."""

    def run(self) -> None:
        """Copy the package as usual, and build the file."""
        super().run()
        file = (ROOT if self.editable_mode else Path(self.build_lib)) / FILE
        try:
            build(file)
        except importlib.metadata.PackageNotFoundError as error:
            if not self.editable_mode:
                raise
            warnings.warn(
                f"The service cannot serve its agent, because {error}. Run make agent.",
                stacklevel=1,
            )

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return the files of the package."""
        return [*super().get_outputs(include_bytecode), str(Path(self.build_lib) / FILE)]


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", nargs="?", type=Path, default=ROOT / FILE, metavar="FILE")
    parser.add_argument(
        "--requirements", action="store_true", help="print the packages that the file contains"
    )
    args = parser.parse_args()
    if args.requirements:
        print(*requirements())
    else:
        build(args.file)
        print(f"{args.file}: {args.file.stat().st_size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
