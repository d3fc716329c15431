"""Sphinx configuration of factstore's release notes."""

project = "factstore release notes"
copyright = "the factstore contributors"

extensions = [
    "openstackdocstheme",
    "reno.sphinxext",
]

html_theme = "openstackdocs"
pygments_style = "native"

openstackdocs_auto_name = False
openstackdocs_auto_version = False
version = release = ""
