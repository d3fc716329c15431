"""Sphinx configuration of factstore's API reference."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "doc" / "theme"))

project = "factstore API reference"
copyright = "the factstore contributors"

extensions = [
    "factstore_theme",
    "os_api_ref",
]
site_root = "../"


version = release = "0.1.0"
