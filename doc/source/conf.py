"""Sphinx configuration of factstore's documentation."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent / "theme")]

project = "factstore"
copyright = "the factstore contributors"

extensions = [
    "error_codes",
    "factstore_theme",
    "oslo_config.sphinxconfiggen",
    "oslo_config.sphinxext",
    "oslo_policy.sphinxext",
    "oslo_policy.sphinxpolicygen",
    "sphinx.ext.autodoc",
    "tested_releases",
]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"

add_module_names = False

version = release = "0.1.0"

# The samples that the reference pages offer for download.
config_generator_config_file = [
    ("../../etc/factstore/config-generator.conf", "_static/factstore"),
]
policy_generator_config_file = [
    ("../../etc/factstore/policy-generator.conf", "_static/factstore"),
]
