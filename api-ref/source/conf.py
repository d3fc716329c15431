"""Sphinx configuration of factstore's API reference."""

project = "factstore API reference"
copyright = "the factstore contributors"

extensions = [
    "openstackdocstheme",
    "os_api_ref",
]

html_theme = "openstackdocs"
html_theme_options = {"sidebar_mode": "toc"}
pygments_style = "native"

openstackdocs_auto_name = False
openstackdocs_auto_version = False
version = release = "0.1.0"
