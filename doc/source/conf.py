"""Sphinx configuration of factstore's documentation."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "factstore"
copyright = "the factstore contributors"

extensions = [
    "error_codes",
    "openstackdocstheme",
    "oslo_config.sphinxconfiggen",
    "oslo_config.sphinxext",
    "oslo_policy.sphinxext",
    "oslo_policy.sphinxpolicygen",
    "sphinx.ext.autodoc",
]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"

html_theme = "openstackdocs"
pygments_style = "native"
add_module_names = False

openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_use_storyboard = False
version = release = "0.1.0"

# The samples that the reference pages offer for download.
config_generator_config_file = [
    ("../../etc/factstore/config-generator.conf", "_static/factstore"),
]
policy_generator_config_file = [
    ("../../etc/factstore/policy-generator.conf", "_static/factstore"),
]
