"""Commands for facts: set, get, list, unset and delete."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from factstore.client import Delete, Fact
from factstore.client.batch import split_batches
from factstore.client.errors import NotFound
from factstore.osc.arguments import add_generation, add_stack, number, parse_json, read_text
from factstore.osc.display import Command, Hidden, Json, Lister, Row, ShortJson, ShowOne, fields
from factstore.osc.errors import UsageError

_NO_STACK = "contextualization.not_found"


def fact_fields(fact: Fact, **more: Any) -> Row:
    """Return the names and the cells of a fact."""
    document = asdict(fact)
    del document["unchanged"]
    value = document["value"]
    document["value"] = Hidden(None) if fact.sensitive and value is None else Json(value)
    return fields({**document, **more})


class SetFact(ShowOne):
    """Set a fact; the first fact of a stack creates the stack"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument(
            "path", metavar="<path>", help="Path of the fact, such as nodes/head/ip"
        )
        parser.add_argument("value", metavar="<value>", help="Value, a string")
        parser.add_argument(
            "--from-file",
            action="store_true",
            help="Read the value from the file <value>, or from standard input if <value> is -; other"
            " users of the machine can see the arguments of a command, but not its input",
        )
        parser.add_argument(
            "--json", action="store_true", help="Parse the value as JSON, such as 4 or '[1, 2]'"
        )
        parser.add_argument(
            "--kind",
            metavar="<kind>",
            choices=["observed", "parameter"],
            help="Kind of the fact: observed or parameter",
        )
        parser.add_argument(
            "--ttl", metavar="<seconds>", type=number, help="Seconds after which the fact expires"
        )
        parser.add_argument(
            "--member",
            metavar="<member>",
            help="Delete the fact when this member departs or expires",
        )
        add_generation(parser, "Set the fact")
        parser.add_argument(
            "--sensitive",
            action="store_true",
            help="Seal the value, and show it only to permitted callers",
        )
        parser.add_argument(
            "--reader",
            metavar="<reader>",
            action="append",
            default=[],
            dest="readers",
            help="Also show a sensitive value to group/<group> or member/<member> (repeat option for"
            " several)",
        )
        condition = parser.add_mutually_exclusive_group()
        condition.add_argument(
            "--if-match", metavar="<etag>", help="Set the fact only if it has this etag"
        )
        condition.add_argument(
            "--if-absent", action="store_true", help="Set the fact only if it does not exist"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Set the fact, and return it."""
        value = parsed_args.value
        if parsed_args.from_file:
            value = read_text(value)
        if parsed_args.json:
            value = parse_json(value, "The value")
        fact = self.stack(parsed_args).put(
            parsed_args.path,
            value,
            kind=parsed_args.kind,
            ttl=parsed_args.ttl,
            member=parsed_args.member,
            generation=parsed_args.generation,
            sensitive=parsed_args.sensitive,
            readers=parsed_args.readers,
            if_match=parsed_args.if_match,
            if_absent=parsed_args.if_absent,
        )
        shown = {"value": Hidden(None)} if fact.sensitive else {}  # logs keep what is printed
        return fact_fields(fact, unchanged=fact.unchanged, **shown)


class GetFact(ShowOne):
    """Get a fact"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("path", metavar="<path>", help="Path of the fact")

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Return the fact."""
        return fact_fields(self.stack(parsed_args).get(parsed_args.path))


class ListFacts(Lister):
    """List the facts of a stack at one revision, in the order of their paths"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument(
            "--prefix", metavar="<path>", default="", help="List only facts at or below this path"
        )
        parser.add_argument(
            "--long", action="store_true", default=False, help="List additional fields in output"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], Iterator[Any]]:
        """Return the facts."""
        facts = self.stack(parsed_args).snapshot(parsed_args.prefix).facts
        names: tuple[str, ...] = ("Path", "Value", "Updated At")
        if parsed_args.long:
            names += ("Kind", "TTL", "Member", "Sensitive", "Version", "ETag", "Updated By")
        return names, (_row(fact)[: len(names)] for fact in facts)


def _row(fact: Fact) -> tuple[Any, ...]:
    value = Hidden(None) if fact.sensitive else ShortJson(fact.value)
    more = (fact.kind, fact.ttl, fact.member, fact.sensitive, fact.version, fact.etag)
    return (fact.path, value, fact.updated_at, *more, fact.updated_by)


class UnsetFact(Command):
    """Delete facts that may or may not exist, up to 100 in one revision"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("paths", metavar="<path>", nargs="+", help="Path of a fact")
        add_generation(parser, "Delete the facts")

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Delete the facts."""
        stack = self.stack(parsed_args)
        for steps in split_batches([(Delete(path),) for path in parsed_args.paths]):
            try:
                stack.batch([step[0] for step in steps], generation=parsed_args.generation)
            except NotFound as error:
                if error.code != _NO_STACK:
                    raise
                return  # nothing is left to delete


class DeleteFact(Command):
    """Delete facts or, with --recursive, folders of facts"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument(
            "paths",
            metavar="<path>",
            nargs="+",
            help="Path of a fact or, with --recursive, a folder",
        )
        parser.add_argument(
            "--recursive", action="store_true", help="Delete all facts at and below each path"
        )
        add_generation(parser, "Delete the facts")
        parser.add_argument(
            "--if-match", metavar="<etag>", help="Delete the fact only if it has this etag"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Delete the facts."""
        paths, stack = parsed_args.paths, self.stack(parsed_args)
        if parsed_args.if_match is not None and (len(paths) > 1 or parsed_args.recursive):
            raise UsageError("--if-match needs a single fact: an etag belongs to one.")

        def delete(path: str) -> None:
            if parsed_args.recursive:
                stack.delete_folder(path, generation=parsed_args.generation)
            else:
                stack.delete(path, generation=parsed_args.generation, if_match=parsed_args.if_match)

        self.delete_each(paths, delete, "facts")
