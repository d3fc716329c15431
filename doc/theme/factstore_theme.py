"""A Sphinx extension: the look that guides, API reference and release notes share, as one site.

The three are built one by one; the API reference and the release notes are built into directories
of the guides' output.  No page loads anything from another host.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

HERE = Path(__file__).parent
SIDEBAR = ("brand", "search", "sites", "scroll-start", "navigation", "calls", "scroll-end")

_HEADING = re.compile(r'<h1>(?P<title>.*?)<a class="headerlink" href="(?P<link>#[^"]+)"')
_CALL = re.compile(
    r'<section class="detail-control" id="(?P<id>[^"]+)">.*?<span class="badge label-\w+">'
    r'(?P<method>\w+)</span>.*?<p class="url-subtitle">(?P<title>[^<]*)</p>',
    re.DOTALL,
)


def use_theme(app: Sphinx, config: Config) -> None:
    """Set what the pages of all three have in common."""
    config["html_theme"] = "furo"
    config["html_title"] = config["project"]
    config["html_show_sphinx"] = False
    config["html_show_copyright"] = False
    config["html_copy_source"] = False
    config["templates_path"].append(str(HERE / "templates"))
    config["html_static_path"].append(str(HERE / "static"))
    config["html_css_files"].append("factstore.css")
    config["html_sidebars"] = {"**": [f"sidebar/{part}.html" for part in SIDEBAR]}


def add_context(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.Node | None,
) -> None:
    """Add the links to the other parts of the site, and the calls on a page of the API reference."""
    context["site_root"] = context["content_root"] + app.config["site_root"]
    context["calls"] = _calls(context.get("body", ""))
    # os-api-ref's script and style sheet expect Bootstrap and jQuery; every call is shown in full.
    for files in ("script_files", "css_files"):
        context[files] = [each for each in context[files] if "api-site" not in str(each.filename)]


def _calls(body: str) -> list[dict[str, Any]]:
    """Return the sections of a page that have calls: title, link, and the calls."""
    headings = list(_HEADING.finditer(body))
    sections = []
    for number, heading in enumerate(headings, start=1):
        end = headings[number].start() if number < len(headings) else len(body)
        calls = [call.groupdict() for call in _CALL.finditer(body, heading.end(), end)]
        if calls:
            sections.append({**heading.groupdict(), "calls": calls})
    return sections


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_config_value("site_root", "", "html")  # the way from a part to the root of the site
    app.connect("config-inited", use_theme)
    app.connect("html-page-context", add_context, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
