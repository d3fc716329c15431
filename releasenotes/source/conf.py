"""Sphinx configuration of factstore's release notes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "doc" / "theme"))

project = "factstore release notes"
copyright = "the factstore contributors"

extensions = [
    "factstore_theme",
    "reno.sphinxext",
]
site_root = "../"


version = release = ""
