"""Finds the texts that still read metadata which are rewritten, so that a person rewrites them."""

from __future__ import annotations

from collections.abc import Iterator

from factstore.migrate.nodes import Scalar
from factstore.migrate.plan import Finding, Plan
from factstore.migrate.read_paths import reads_metadata
from factstore.migrate.template import Template


def remaining_readers(template: Template, plan: Plan) -> Iterator[Finding]:
    """Yield a finding for each text, such as a script, that reads the metadata by their name."""
    done = {id(node) for command in plan.commands for node in command.texts}
    done |= {
        id(node) for path in (*plan.reads, *plan.left_reads) for node in path.entry.value.walk()
    }
    for resource in template.resources.values():
        if resource.name in plan.removed or resource.name in plan.bags:
            continue
        for node in resource.body.walk():
            if not isinstance(node, Scalar) or not isinstance(node.value, str):
                continue
            for name in plan.bags:
                at = reads_metadata(node.value, name)
                if id(node) not in done and at is not None:
                    yield _finding(resource.name, node, name, at)


def _finding(owner: str, node: Scalar, name: str, at: int) -> Finding:
    line = node.line + 1
    if node.style == "|":  # other texts have other lines in the file
        line += 1 + node.value[:at].count("\n")
    return Finding(
        line,
        f"{owner} reads the metadata of {name} in a text: use the url of an OS::FactStore::Grant",
    )
