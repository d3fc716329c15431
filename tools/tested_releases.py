#!/usr/bin/env python3
"""Record that the tests of a tox environment passed, for the page "Supported releases".

tested_releases.py ENVIRONMENT REPORT

REPORT is a JUnit file of pytest. Run it with the environment's own Python, which has the tested
packages. The earlier entry of the environment is replaced.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FILE = Path(__file__).parents[1] / "doc/source/reference/tested-releases.json"
DISTRIBUTION = "openstack-factstore"
EXTRAS = ("", "agent", "server", "memcached", "page", "cloud", "osc", "heat")


def tested_packages() -> dict[str, str]:
    """Return the installed versions of the packages that factstore itself requires, by name."""
    found = {}
    for text in metadata.requires(DISTRIBUTION) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in EXTRAS):
            continue
        try:
            name = canonicalize_name(requirement.name)
            found[name] = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:  # of an extra that is not part of the environment
            continue
    return dict(sorted(found.items()))


def passed_tests(report: Path) -> int:
    """Return the number of tests that passed.

    :raises SystemExit: a test failed, or none ran.
    """
    counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for suite in ElementTree.parse(report).iter("testsuite"):  # noqa: S314 - written by pytest
        for name in counts:
            counts[name] += int(suite.get(name, "0"))
    passed = counts["tests"] - counts["failures"] - counts["errors"] - counts["skipped"]
    if counts["failures"] or counts["errors"] or passed <= 0:
        raise SystemExit(f"{report} has no run without failures: {counts}")
    return passed


def list_source(environment: str) -> str | None:
    """Return the origin of the list of constraints, or None if the environment has none."""
    release = environment.removeprefix("constraints-")
    if release in (environment, "tested"):
        return None
    lists = os.environ.get("LISTS", "")
    source = Path(lists, "SOURCE")
    if source.is_file():
        for line in source.read_text(encoding="utf-8").splitlines():
            name, _, origin = line.partition(":")
            if name == release:
                return origin.strip()
    return f"{lists}/{release}"


def etcd_version() -> str:
    """Return the version of the etcd on the path."""
    etcd = os.environ.get("FACTSTORE_ETCD", "etcd")
    answer = subprocess.run([etcd, "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    return answer.stdout.splitlines()[0].rpartition(" ")[2]


def main(environment: str, report: str) -> None:
    """Add the environment to the file."""
    entry = {
        "date": datetime.now(UTC).date().isoformat(),
        "passed": passed_tests(Path(report)),
        "python": platform.python_version(),
        "etcd": etcd_version(),
        "source": list_source(environment),
        "packages": tested_packages(),
    }
    known = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    known[environment] = entry
    text = json.dumps(dict(sorted(known.items())), indent=2)
    FILE.write_text(f"{text}\n", encoding="utf-8")
    print(f"{FILE}: {environment} passed {entry['passed']} tests")


if __name__ == "__main__":
    main(*sys.argv[1:])
