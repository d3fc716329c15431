"""Templates with a data bag, and the shell of an instance."""

from __future__ import annotations

import re
import subprocess
from typing import Any

RETRIES = re.compile("--retry 10 --retry-all-errors ")


def template(resources: dict[str, Any], outputs: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a template with a data bag ``bag``, these resources and outputs by name."""
    return {
        "heat_template_version": "2021-04-16",
        "resources": {"bag": {"type": "OS::FactStore::DataBag"}, **resources},
        "outputs": {name: {"value": value} for name, value in (outputs or {}).items()},
    }


def inside(kind: str, /, **properties: Any) -> dict[str, Any]:
    """Return a resource inside that data bag."""
    return {
        "type": f"OS::FactStore::{kind}",
        "properties": {"bag": {"get_resource": "bag"}, **properties},
    }


def attributes(resource: str, *names: str) -> dict[str, Any]:
    """Return outputs for attributes of a resource, by their names."""
    return {name: {"get_attr": [resource, name]} for name in names}


def shell(line: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Run a resource's command with more arguments, and without retries."""
    assert RETRIES.search(line)
    script = f'{RETRIES.sub("", line)} "$@"'
    return subprocess.run(
        ["bash", "-c", script, "instance", *more], capture_output=True, text=True, timeout=60
    )
