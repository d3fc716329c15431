"""``factstore verify``: whether what the service keeps in etcd makes sense.

It reads everything below the root at one revision, beside a running service. The exit status is 0 if
all is well, 1 if something is found, and 2 if it could not find out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from factstore.cmd.server import add_config_file, server_room

if TYPE_CHECKING:
    from factstore.store.fsck.findings import Examination, Finding

_FAILED = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_config_file(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--repair",
        action="store_true",
        help="have workers sweep orphans, unless there is anything that this factstore does not"
        " know; all else is for you to decide",
    )


def run(args: argparse.Namespace) -> int:
    """Print what is found, and how much there is. Raises CommandError, with status 2."""
    with server_room(_FAILED):
        from factstore.cmd.deployment import opened
    with opened(args.config_file, failed=_FAILED) as installation:
        found, revision = installation.inspection.examine()
        repaired: Collection[Finding] = ()
        if args.repair:
            repaired = installation.inspection.sweep_orphans(found, revision)
    consistent = len(repaired) == len(found.findings)
    if args.json:
        root = installation.keys.root
        print(json.dumps(_document(found, repaired, root, revision, consistent), indent=2))
    else:
        print(_text(found, repaired))
    return 0 if consistent else 1


def _text(found: Examination, repaired: Collection[Finding]) -> str:
    lines = []
    for finding in found.findings:
        advice = "it will be swept" if finding in repaired else finding.advice
        lines += [f"{finding.kind}: {shown(finding.key)}", f"  {finding.problem}", f"  {advice}"]
    counts = ", ".join(f"{count} {what}" for what, count in _counts(found).items())
    return "\n".join([*lines, f"{counts}; {len(found.findings)} findings"])


def _document(
    found: Examination,
    repaired: Collection[Finding],
    root: str,
    revision: int,
    consistent: bool,
) -> dict[str, Any]:
    return {
        "root": root,
        "revision": revision,
        "consistent": consistent,
        "counts": _counts(found),
        "projects": [
            {
                "id": project_id,
                "stacks": usage.stacks,
                "facts": usage.facts,
                "bytes": usage.bytes,
                "receipts": usage.receipts,
            }
            for project_id, usage in found.projects.items()
        ],
        "findings": [
            {
                "kind": finding.kind,
                "key": shown(finding.key),
                "problem": finding.problem,
                "advice": finding.advice,
                "repaired": finding in repaired,
            }
            for finding in found.findings
        ],
    }


def _counts(found: Examination) -> dict[str, int]:
    usages = found.projects.values()
    return {
        "stacks": sum(usage.stacks for usage in usages),
        "facts": sum(usage.facts for usage in usages),
        "bytes": sum(usage.bytes for usage in usages),
        "projects": len(found.projects),
    }


def shown(key: bytes) -> str:
    """A key as one line of text, whatever bytes it is made of."""
    return key.decode(errors="backslashreplace").encode("unicode_escape").decode()
