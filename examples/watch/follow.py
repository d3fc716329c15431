"""Follow a stack: print a line for every change, and keep a copy of its facts.

    python follow.py STACK FILE

FILE contains {"cursor": ..., "facts": {path: value}}.  If it exists, the program continues from there.
OS_* variables contain the address of the service and the credentials.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from keystoneauth1.exceptions import ClientException

from factstore.client import Event, FactstoreError, Snapshot, connect


def take(item: Event | Snapshot, facts: dict[str, Any]) -> None:
    """Print the changes, and apply them to the facts."""
    if isinstance(item, Snapshot):  # the first item, and after a reset
        facts.clear()
        facts.update({fact.path: fact.value for fact in item.facts})
        print(f"{item.cursor} snapshot facts: {len(facts)}", flush=True)
        return
    for change in item.changes:
        if change.type == "stack.delete":
            facts.clear()
            print(f"{item.cursor} stack.delete", flush=True)
        elif change.fact is None:
            facts.pop(change.path, None)
            print(f"{item.cursor} {change.type} {change.path}", flush=True)
        else:
            facts[change.path] = change.fact.value
            value = json.dumps(change.fact.value)
            print(f"{item.cursor} {change.type} {change.path} {value}", flush=True)


def main(name: str, file: Path) -> None:
    """Follow until the stack is deleted.  The watch reconnects, resumes and lists again by itself."""
    copy = json.loads(file.read_text()) if file.exists() else {"cursor": None, "facts": {}}
    new = file.with_suffix(".new")
    stack = connect().stack(name)
    with stack.watch(copy["cursor"], initial=True, bookmarks=True) as watch:
        for item in watch:
            if isinstance(item, Event | Snapshot):
                take(item, copy["facts"])
            copy["cursor"] = watch.cursor
            new.write_text(json.dumps(copy))
            new.replace(file)  # cursor and facts in one step


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(sys.argv[1], Path(sys.argv[2]))
    except (FactstoreError, ClientException) as error:
        sys.exit(str(error))
