"""``constraints.txt`` has a version for every requirement, which the requirement allows."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
EXTRAS = ("agent", "server", "cloud", "memcached", "page", "osc")


def requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = (project["optional-dependencies"][extra] for extra in EXTRAS)
    return [Requirement(each) for each in sum(extras, project["dependencies"])]


def pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(each.name): each for each in pinned}


def test_every_requirement_has_a_version_that_it_allows() -> None:
    found = pins()
    missing = []
    for requirement in requirements():
        pin = found.get(canonicalize_name(requirement.name))
        version = str(pin.specifier).removeprefix("==") if pin else None
        if version is None or not requirement.specifier.contains(version):
            missing.append(f"{requirement}: {version}")
    assert missing == [], "write constraints.txt again: tox run -e constraints"
