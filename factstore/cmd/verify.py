"""``factstore verify``: check what the service stores in etcd, and repair it if possible.

The command reads all keys below the root at one revision, while the service is running. The exit status
is 0 if there are no problems, 1 if there are problems, and 2 if the check failed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from factstore.client.counts import counted
from factstore.cmd.server import add_config_file, requires_server_packages

if TYPE_CHECKING:
    from factstore.store.fsck.report import Finding, Report

_FAILED = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.set_defaults(output_failed=_FAILED)
    add_config_file(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--repair",
        action="store_true",
        help="mark orphans for deletion by the workers, revoke idle leases, and delete keys that only"
        " earlier versions wrote, unless the store contains anything that this version of factstore"
        " does not know",
    )


def run(args: argparse.Namespace) -> int:
    """Print the findings and the usage. Raises CommandError, with status 2."""
    with requires_server_packages(_FAILED):
        from factstore.cmd.deployment import connect
    with connect(args.config_file, failed=_FAILED) as installation:
        report = installation.reader.check()
        repaired: Collection[Finding] = ()
        if args.repair:
            repaired = installation.repair.repair(report)
    consistent = len(repaired) == len(report.findings)
    if args.json:
        root = installation.keys.root
        print(json.dumps(_document(report, repaired, root, consistent), indent=2))
    else:
        print(_text(report, repaired))
    return 0 if consistent else 1


def _text(report: Report, repaired: Collection[Finding]) -> str:
    lines = []
    for finding in report.findings:
        done = "it was revoked" if finding.lease else "the workers will delete it"
        advice = done if finding in repaired else finding.advice
        lines += [f"{finding.kind}: {shown(finding.key)}", f"  {finding.problem}", f"  {advice}"]
    counts = ", ".join(
        counted(count, noun.removesuffix("s")) for noun, count in _counts(report).items()
    )
    findings = counted(len(report.findings), "finding")
    return "\n".join([*lines, f"{counts}; {findings}"])


def _document(
    report: Report, repaired: Collection[Finding], root: str, consistent: bool
) -> dict[str, Any]:
    return {
        "root": root,
        "revision": report.revision,
        "consistent": consistent,
        "counts": _counts(report),
        "projects": [
            {
                "id": project_id,
                "stacks": len(project.stacks),
                "facts": project.facts,
                "bytes": project.bytes,
                "receipts": project.receipts,
                "subscriptions": project.subscriptions,
            }
            for project_id, project in report.projects.items()
        ],
        "findings": [
            {
                "kind": finding.kind,
                "key": shown(finding.key),
                "problem": finding.problem,
                "advice": finding.advice,
                "repaired": finding in repaired,
            }
            for finding in report.findings
        ],
    }


def _counts(report: Report) -> dict[str, int]:
    projects = report.projects.values()
    return {
        "stacks": sum(len(project.stacks) for project in projects),
        "facts": sum(project.facts for project in projects),
        "bytes": sum(project.bytes for project in projects),
        "projects": len(projects),
    }


def shown(key: bytes) -> str:
    """Return a key as one line of text, whatever bytes it contains."""
    return key.decode(errors="backslashreplace").encode("unicode_escape").decode()
