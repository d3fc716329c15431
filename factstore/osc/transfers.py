"""Commands that move facts: import, export and copy."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from osc_lib import exceptions

from factstore.client import Put, Stack
from factstore.client.counts import counted
from factstore.client.os_errors import described, reason
from factstore.client.render import write as write_rendering
from factstore.osc.arguments import add_stack
from factstore.osc.clouds import client_of_cloud, heat_of
from factstore.osc.display import Command, Lister, ShortJson, printable, text_of
from factstore.osc.errors import UsageError
from factstore.osc.progress import Progress
from factstore.transfer import files, formats, heat, writing
from factstore.transfer.document import Contents, Seal, read_stack
from factstore.transfer.writing import Difference

_COLUMNS = ("Path", "Action", "Old Value", "New Value")


def _report(name: str, reason: str) -> None:
    print(f"{name} is left out: it {reason}", file=sys.stderr)


def _add_key(parser: argparse.ArgumentParser, purpose: str) -> None:
    parser.add_argument("--key", metavar="<file>", help=purpose)


def _seal(file: str | None, *, create: bool = False) -> Seal | None:
    if file is None:
        return None
    try:
        from factstore.transfer.sealing import KeyFile
    except ImportError as error:
        raise exceptions.CommandError("--key needs the package cryptography.") from error
    try:
        return KeyFile(Path(file), create=create)
    except (OSError, ValueError) as error:
        raise exceptions.CommandError(f"{file!r} cannot be used: {reason(error)}.") from None


def _add_writing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder", metavar="<path>", default="", help="Write the facts below this folder"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="Only list the differences; write nothing"
    )
    parser.add_argument("--all", action="store_true", help="Also list facts that are equal")


def _write(parsed_args: argparse.Namespace, stack: Stack, contents: Contents) -> list[Difference]:
    """Write the facts that differ, and return the differences to list."""
    plan = writing.compare(stack, contents.facts)
    if not parsed_args.dry_run:
        progress = Progress(sys.stderr)
        try:
            writing.carry_out(stack, plan, lambda done, of: progress.report(done, of, ()))
        finally:
            progress.clear()
        for line in writing.write_conditions(stack, contents.waiters, contents.alarms):
            print(line, file=sys.stderr)
    return [each for each in plan.differences if parsed_args.all or each.action != "keep"]


class ImportFacts(Command):
    """Import facts from a file, a directory or Heat, and list the differences"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument(
            "source",
            metavar="<source>",
            nargs="?",
            help="File, or directory for some formats; - for standard input",
        )
        source.add_argument(
            "--from-heat-stack",
            metavar=("<heat-stack>", "<resource>"),
            nargs=2,
            help="Import the live metadata of a resource of a Heat stack",
        )
        source.add_argument(
            "--from-software-deployments",
            metavar="<heat-stack>",
            help="Import the software deployments of a Heat stack: inputs as configurations below"
            " configs/, outputs as results below results/",
        )
        parser.add_argument(
            "--format",
            metavar="<format>",
            choices=formats.IMPORTS,
            default=formats.DOCUMENT,
            dest="file_format",
            help=f"Format of the source: {', '.join(formats.IMPORTS)} (default: json)",
        )
        parser.add_argument(
            "--kind",
            metavar="<kind>",
            choices=["observed", "parameter"],
            help="Kind of the facts if the source states none: observed or parameter",
        )
        _add_key(parser, "File with the key that sealed sensitive values")
        _add_writing(parser)
        parser.add_argument(
            "--report",
            metavar="<report>",
            choices=["text", "json"],
            default="text",
            help="Form of the list of differences: text or json (default: text)",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Write the facts that differ, and print the differences."""
        contents = self._contents(parsed_args)
        puts = writing.moved(contents.facts, folder=parsed_args.folder, kind=parsed_args.kind)
        # Waiters and alarms name paths, which a folder would change.
        whole = contents if not parsed_args.folder else Contents(contents.name, ())
        moved = replace(whole, facts=tuple(puts))
        rows = _write(parsed_args, self.stack(parsed_args), moved)
        if parsed_args.report == "json":
            print(json.dumps([asdict(row) for row in rows], indent=2), file=self.app.stdout)
            return
        if not rows:
            print(f"No differences: {counted(len(puts), 'fact')}.", file=self.app.stdout)
        for row in rows:
            old, new = (printable(text_of(value)) for value in (row.old, row.new))
            shown = f"{old} -> {new}" if row.action == "change" else new
            print(f"{row.action} {row.path}: {shown}", file=self.app.stdout)

    def _contents(self, parsed_args: argparse.Namespace) -> Contents:
        if parsed_args.from_heat_stack:
            name, resource = parsed_args.from_heat_stack
            return _of(
                heat.read_metadata(heat_of(self.app.client_manager), name, resource, _report)
            )
        if parsed_args.from_software_deployments:
            name = parsed_args.from_software_deployments
            return _of(heat.read_deployments(heat_of(self.app.client_manager), name, _report))
        try:
            source = files.read_source(parsed_args.source)
            return formats.read(
                parsed_args.file_format, source, seal=_seal(parsed_args.key), omit=_report
            )
        except OSError as error:
            raise exceptions.CommandError(f"{described(error)}.") from None
        except ValueError as error:
            raise exceptions.CommandError(f"{parsed_args.source!r}: {error}.") from None


def _of(puts: list[Put]) -> Contents:
    return Contents("", tuple(puts))


class ExportFacts(Command):
    """Export a stack or a folder, at one revision, to a file or a directory"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument(
            "target",
            metavar="<target>",
            nargs="?",
            default="-",
            help="File, or directory for some formats; missing directories are created; - for standard"
            " output (default)",
        )
        parser.add_argument(
            "--format",
            metavar="<format>",
            choices=formats.EXPORTS,
            default=formats.DOCUMENT,
            dest="file_format",
            help=f"Format: {', '.join(formats.EXPORTS)} (default: json, which keeps kinds,"
            " lifetimes, waiters and alarms)",
        )
        parser.add_argument(
            "--prefix",
            metavar="<path>",
            default="",
            help="Export only facts at and below this path",
        )
        _add_key(
            parser,
            "Also export sensitive facts, sealed with the key in this file; it is created if it"
            " does not exist; only for the format json",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Write the file, and report the facts that it cannot contain."""
        stack = self.stack(parsed_args)
        if parsed_args.key and parsed_args.file_format != formats.DOCUMENT:
            raise UsageError("Only the format json has sealed values; omit --key.")
        seal = _seal(parsed_args.key, create=True)
        progress = Progress(sys.stderr)
        try:
            contents = read_stack(
                stack,
                parsed_args.prefix,
                secrets=seal is not None,
                progress=lambda done: progress.report(done, done, ()),
            )
        finally:
            progress.clear()
        context = stack.context().document
        rendering = formats.write(
            parsed_args.file_format, contents, context, seal=seal, omit=_report
        )
        if parsed_args.target != "-":
            target = Path(parsed_args.target)
            folder = target.parent if isinstance(rendering, str) else target
            missing = [each for each in (folder, *folder.parents) if not each.exists()]
            try:
                write_rendering(rendering, target)
                for directory in missing[-1:]:
                    print(f"created the directory {str(directory)!r}", file=sys.stderr)
            except (OSError, ValueError) as error:
                raise exceptions.CommandError(
                    f"{parsed_args.target!r} cannot be written: {described(error)}."
                ) from None
        elif isinstance(rendering, str):
            self.app.stdout.write(rendering)
        else:
            raise UsageError(f"{parsed_args.file_format} is a directory: name one as <target>.")


class CopyFacts(Lister):
    """Copy a stack or a folder to another name, folder or cloud, and list the differences"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("target", metavar="<target-stack>", help="Name of the other stack")
        parser.add_argument(
            "--prefix", metavar="<path>", default="", help="Copy only facts at and below this path"
        )
        parser.add_argument(
            "--to-cloud",
            metavar="<cloud>",
            help="Copy to this cloud of clouds.yaml, whose project can be another one",
        )
        parser.add_argument(
            "--secrets", action="store_true", help="Also copy sensitive facts, as sensitive ones"
        )
        _add_writing(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterator[Any]]:
        """Write the facts that differ, and return the differences."""
        contents = read_stack(
            self.stack(parsed_args), parsed_args.prefix, secrets=parsed_args.secrets
        )
        for path in contents.omitted:
            _report(path, "is sensitive, and --secrets is not given")
        puts = list(contents.facts)
        if parsed_args.folder:
            puts = writing.moved(puts, source=parsed_args.prefix, folder=parsed_args.folder)
        moved = replace(contents, facts=tuple(puts))
        client = (
            self.client() if parsed_args.to_cloud is None else client_of_cloud(parsed_args.to_cloud)
        )
        rows = _write(parsed_args, client.stack(parsed_args.target), moved)
        return _COLUMNS, (
            (each.path, each.action, ShortJson(each.old), ShortJson(each.new)) for each in rows
        )
