"""The directive ``error-codes``: a table of the codes that the API knows."""

from __future__ import annotations

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from factstore.api.errors import PREFIX, STATUS

HEAD = ("Status", "Code", "Title")
WIDTHS = (10, 45, 45)


class ErrorCodes(Directive):
    def run(self) -> list[nodes.Node]:
        group = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in WIDTHS), cols=3)
        group += nodes.thead("", _row(*(nodes.Text(text) for text in HEAD)))
        body = nodes.tbody()
        for code, (status, title) in STATUS.items():
            literal = nodes.literal("", PREFIX + code)
            body += _row(nodes.Text(str(status)), literal, nodes.Text(title))
        group += body
        return [nodes.table("", group)]


def _row(*cells: nodes.Node) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("error-codes", ErrorCodes)
    return {"parallel_read_safe": True}
