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
                if id(node) not in done and reads_metadata(node.value, name):
                    yield _finding(resource.name, node, name)


def _finding(owner: str, node: Scalar, name: str) -> Finding:
    before = node.value[: node.value.find(name)].count("\n")
    line = node.line + 1 + (before + 1 if node.style in ("|", ">") else before)
    return Finding(
        line,
        f"{owner} reads the metadata of {name} in a text: use the url of an OS::FactStore::Grant",
    )
