"""Facts about the cloud, from the part of cloud-init's instance data that everybody may read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

INSTANCE_DATA = Path("/run/cloud-init/instance-data.json")
_MOST_BYTES = 4 * 1024 * 1024
_LONGEST = 255
_ENCODED = ("redacted for non-root user", "ci-b64:")
# Where the sources of cloud-init keep what is missing in the standardized keys.
_FLAVORS = (
    ("ds", "ec2_metadata", "instance-type"),  # OpenStack
    ("ds", "meta_data", "instance-type"),  # EC2
    ("ds", "meta_data", "instance_type"),
    ("ds", "meta_data", "imds", "compute", "vmSize"),  # Azure
)


def cloud(file: Path = INSTANCE_DATA) -> dict[str, str]:
    """Return the cloud's name, region and zone, and the instance's id and flavor, where known.

    :raises OSError: the instance has no such data.
    """
    with file.open("rb") as opened:
        data = opened.read(_MOST_BYTES)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise OSError(f"{file} is not JSON") from error
    found = {
        "name": _text(document, "v1", "cloud_name"),
        "region": _text(document, "v1", "region"),
        "zone": _text(document, "v1", "availability_zone"),
        "instance_id": _text(document, "v1", "instance_id"),
        "flavor": next(filter(None, (_text(document, *path) for path in _FLAVORS)), None),
    }
    return {name: value for name, value in found.items() if value is not None}


def _text(document: Any, *path: str) -> str | None:
    """Return a short text at a path, or None if there is no readable one."""
    for name in path:
        if not isinstance(document, Mapping):
            return None
        document = document.get(name)
    if not isinstance(document, str) or not 0 < len(document) <= _LONGEST:
        return None
    return None if document.startswith(_ENCODED) or not document.isprintable() else document
