"""The command that changes several facts in one revision."""

from __future__ import annotations

import argparse
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from osc_lib import exceptions

from factstore.client import BatchPreview, Delete, DeletePrefix, Guard, Put, Transition
from factstore.client.counts import counted
from factstore.osc.arguments import add_generation, add_stack, parse_json, read_text, split_pair
from factstore.osc.display import Lister, ShortText
from factstore.osc.errors import UsageError

_COLUMNS = ("Operation", "Path", "Outcome", "Deleted", "ETag")


class Batch(Lister):
    """If all guards are met, carry out all operations in one revision; otherwise change nothing"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)

        def add_repeatable(option: str, metavar: str, text: str) -> None:
            parser.add_argument(
                option,
                metavar=metavar,
                action="append",
                default=[],
                help=f"{text} (repeat option for several)",
            )

        add_repeatable("--put", "<path>=<value>", "Set a fact to a string")
        add_repeatable("--put-json", "<path>=<value>", "Set a fact to a JSON value")
        add_repeatable("--delete", "<path>", "Delete a fact that may or may not exist")
        add_repeatable("--delete-prefix", "<path>", "Delete all facts at and below a path")
        add_repeatable("--if-absent", "<path>", "Guard: this fact does not exist")
        add_repeatable("--if-exists", "<path>", "Guard: this fact exists")
        add_repeatable("--if-match", "<path>=<etag>", "Guard: this fact has this etag")
        parser.add_argument(
            "--file",
            metavar="<file>",
            help='Read "operations" and "guards" from a JSON file in the form of the API, or from'
            " standard input if <file> is -",
        )
        add_generation(parser, "Change the facts")
        plans = parser.add_mutually_exclusive_group()
        plans.add_argument(
            "--dry-run",
            action="store_true",
            help="Change nothing, and list what would happen: to the facts, and to members, waiters and"
            " alarms. The last row has the plan",
        )
        plans.add_argument(
            "--if-plan",
            metavar="<plan>",
            help="Change the facts only if exactly that happens which --dry-run has listed with the"
            " same operations and guards",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], Iterator[Any]]:
        """Carry out the operations, or preview them, and return the outcome of each."""
        operations, guards = _from_options(parsed_args)
        if parsed_args.file is not None:
            document = parse_json(read_text(parsed_args.file), parsed_args.file)
            operations += _items(document, "operations")
            guards += _items(document, "guards")
        if not operations:
            raise UsageError("A batch needs an operation, such as --put a=1.")
        stack, generation = self.stack(parsed_args), parsed_args.generation
        if parsed_args.dry_run:
            preview = stack.preview_batch(operations, guards, generation=generation)
            return _COLUMNS, _preview_rows(operations, preview)
        result = stack.batch(
            operations,
            guards,
            generation=generation,
            idempotency_key=str(uuid.uuid4()),
            plan=parsed_args.if_plan,
        )
        deleted = result.deleted or [None] * len(operations)
        found = zip(operations, result.outcomes, deleted, result.facts, strict=True)
        return _COLUMNS, (
            (*_name(operation), outcome, number, fact.etag if fact is not None else None)
            for operation, outcome, number, fact in found
        )


def _preview_rows(operations: Sequence[Any], preview: BatchPreview) -> Iterator[Any]:
    parts = (preview.outcomes, preview.deleted, preview.etags)
    for operation, outcome, number, etag in zip(operations, *parts, strict=True):
        yield (*_name(operation), outcome, number, etag)
    for name in preview.wakes or ():
        yield "wake", name, "woken", None, None
    more = (preview.woken or 0) - len(preview.wakes or ())
    if more:
        yield "wake", counted(more, "more member"), "woken", None, None
    for kind, changes in (("waiter", preview.waiters), ("alarm", preview.alarms)):
        for change in changes or ():
            yield kind, change.name, ShortText(_transition(change)), None, None
    yield "plan", "", ShortText(preview.plan), None, None


def _transition(change: Transition) -> str:
    document = change.document
    states = dict.fromkeys((change.state, change.becomes))  # one, if only the progress changes
    arrow = " -> ".join(states)
    missing = ", ".join(document.get("missing", ()))
    reason = change.reason or (f"missing: {missing}" if missing else "")
    step = f" ({document['step']})" if document.get("step", "edge") != "edge" else ""
    return f"{arrow}{step}: {reason}" if reason else f"{arrow}{step}"


def _from_options(parsed_args: argparse.Namespace) -> tuple[list[Any], list[Guard]]:
    operations: list[Any] = [Put(*split_pair(each, "--put")) for each in parsed_args.put]
    for each in parsed_args.put_json:
        path, text = split_pair(each, "--put-json")
        operations.append(Put(path, parse_json(text, f"The value of {path!r}")))
    operations += map(Delete, parsed_args.delete)
    operations += map(DeletePrefix, parsed_args.delete_prefix)
    guards = [*map(Guard.absent, parsed_args.if_absent), *map(Guard.exists, parsed_args.if_exists)]
    guards += [Guard.etag(*split_pair(each, "--if-match")) for each in parsed_args.if_match]
    return operations, guards


def _items(document: Any, name: str) -> list[Any]:
    """Return the operations or the guards of a document in the form of the API."""
    parse = _operation if name == "operations" else _guard
    try:
        unknown = document.keys() - {"operations", "guards"}
        if unknown:
            raise ValueError(f"{min(unknown)!r} is neither operations nor guards")
        return [parse(**item) for item in document.get(name, ())]
    except (AttributeError, TypeError, ValueError) as error:
        raise exceptions.CommandError(
            f"The file is not a batch: {error}. A batch is a JSON object such as"
            ' {"operations": [{"put": {"path": "a", "value": 1}}, {"delete": {"path": "b"}}],'
            ' "guards": [{"path": "a", "absent": true}]}.'
        ) from None


def _operation(
    put: dict[str, Any] | None = None, delete: dict[str, str] | None = None
) -> Put | Delete | DeletePrefix:
    if put is not None:
        return Put(**put)
    if delete is None:
        raise ValueError("an operation has neither put nor delete")
    return DeletePrefix(**delete) if "prefix" in delete else Delete(**delete)


def _guard(path: str, **condition: Any) -> Guard:
    (pair,) = condition.items()
    return Guard(path, pair)


def _name(operation: Put | Delete | DeletePrefix) -> tuple[str, str]:
    if isinstance(operation, DeletePrefix):
        return "delete prefix", operation.prefix
    return "put" if isinstance(operation, Put) else "delete", operation.path
