"""Writes the static metadata of templates to a running service."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from factstore.client import Put, connect
from factstore.client.batch import split_batches
from factstore.client.counts import counted
from factstore.client.errors import FactstoreError
from factstore.cmd.errors import CommandError
from factstore.migrate import Bag, Result, Template, Unresolved, evaluate, parameter_values


def write_facts(stack: str | None, given: Mapping[str, str], results: Mapping[str, Result]) -> None:
    """Write the facts whose values are known without Heat, as parameters.

    :param stack: the name of the stack; None for that of each file.
    :param given: values of parameters.
    :raises CommandError: the service refuses.
    """
    try:
        client = connect()
        for name, result in results.items():
            base = stack or _stack(name)
            own = [bag for bag in result.plan.bags.values() if bag.host is None]
            for bag in result.plan.bags.values():
                # As the template names its data bags.
                is_only = len(own) == 1 and result.fragment is None
                space = client.stack(base if is_only else f"{base}-{bag.bag}")
                puts = list(_puts(name, result, bag, given))
                for batch in split_batches([put] for put in puts):
                    space.batch([put for step in batch for put in step])
                written = counted(len(puts), "fact")
                print(f"{name}: wrote {written} to {space.name}", file=sys.stderr)
    except FactstoreError as error:
        raise CommandError(str(error)) from error


def _puts(name: str, result: Result, bag: Bag, given: Mapping[str, str]) -> Iterator[Put]:
    parameters = parameter_values(Template(result.text), given)
    for item in bag.early:
        path = "/".join(item.path)
        try:
            value: Any = evaluate(item.value, parameters)
        except Unresolved as error:
            print(f"{name}: {path} is not written: {error}", file=sys.stderr)
            continue
        if value is not None:
            yield Put(path, value, kind="parameter")


def _stack(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", PurePath(name).stem).lstrip(".-") or "stack"
