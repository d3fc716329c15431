"""Sphinx configuration of factstore's API reference."""

import sys
from pathlib import Path

DOC = Path(__file__).parents[2] / "doc"
sys.path[:0] = [str(DOC / "theme"), str(DOC / "source" / "_extensions")]

project = "factstore API reference"
copyright = "the factstore contributors"

extensions = [
    "error_codes",
    "factstore_theme",
    "os_api_ref",
]
site_root = "../"


version = release = "0.1.0"
