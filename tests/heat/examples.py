"""The examples as a client sends them, with the lab's servers instead of Nova's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from heatclient.common import template_utils

EXAMPLES = Path(__file__).parents[2] / "examples" / "heat"
SERVERS = {"OS::Nova::Server": "Lab::Server"}


def example(
    template: str,
    *,
    environment: str | None = None,
    registry: dict[str, str] | None = None,
    **parameters: Any,
) -> dict[str, Any]:
    """Return the arguments of :meth:`Orchestration.create` for an example, except the name.

    :param environment: an environment file of the example.
    :param registry: further mappings of types.
    """
    files, found = template_utils.get_template_contents(str(EXAMPLES / template))
    more, settings = template_utils.process_environment_and_files(
        str(EXAMPLES / environment) if environment else None
    )
    return {
        "template": found,
        "files": {**files, **more},
        "environment": {
            **settings,
            "resource_registry": {**SERVERS, **(registry or {})},
            "parameters": {
                "image": "debian-12",
                "flavor": "m1.small",
                **settings.get("parameters", {}),
                **parameters,
            },
        },
    }
