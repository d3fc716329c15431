"""os-collect-config, for the template of :mod:`tests.tools.running`."""

from __future__ import annotations

import importlib
import sys

_TOOL = "os_collect_config.collect"


def load() -> None:
    """Import the tool."""
    importlib.import_module(_TOOL)


def main() -> object:
    """Be the tool, with the arguments of this process."""
    return importlib.import_module(_TOOL).main(sys.argv)
