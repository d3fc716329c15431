"""The directive ``error-codes``: a table of the codes that the API knows, and what to do."""

from __future__ import annotations

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from factstore.api.error_remedies import REMEDIES
from factstore.api.errors import STATUS

HEAD = ("Code", "Status", "What to do")
WIDTHS = (25, 8, 67)


class ErrorCodes(Directive):
    def run(self) -> list[nodes.Node]:
        group = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in WIDTHS), cols=3)
        group += nodes.thead("", _row(*([nodes.Text(text)] for text in HEAD)))
        body = nodes.tbody()
        for code, (status, title) in STATUS.items():
            remedy, messages = self.state.inline_text(f"{title}. {REMEDIES[code]}", self.lineno)
            body += _row([nodes.literal("", code)], [nodes.Text(str(status))], [*remedy, *messages])
            body[-1]["ids"] = [code]
        group += body
        return [nodes.table("", group)]


def _row(*cells: list[nodes.Node]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("error-codes", ErrorCodes)
    return {"parallel_read_safe": True}
