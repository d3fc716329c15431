"""Follow a stack with requests, without factstore's client library.

    python plain.py STACK_URL FILE

FILE contains {"cursor": ..., "facts": {path: value}}.  If it exists, the program continues from there.
TOKEN in the environment is sent as X-Auth-Token.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

SILENCE = 45  # seconds; the service sends something every 15


def frames(stack: str, cursor: str | None) -> Iterator[dict[str, str]]:
    """Yield the frames of one connection; raise OSError, the base of requests' errors, if it breaks."""
    url = f"{stack}/events?initial=true"
    headers = {
        "Accept": "text/event-stream",
        "Last-Event-ID": cursor,  # takes precedence over initial; None is not sent
        "X-Auth-Token": os.environ.get("TOKEN"),
    }
    with requests.get(url, headers=headers, stream=True, timeout=(10, SILENCE)) as answer:
        if answer.status_code in (400, 401, 403, 404, 406):
            sys.exit(f"{url}: HTTP {answer.status_code}")  # another attempt would fail too
        answer.raise_for_status()
        frame: dict[str, str] = {}
        # Bytes, because lines of a str also end at U+2028, which values may contain.  With None, lines
        # arrive as they were sent; otherwise requests waits until a chunk is full.
        for line in answer.iter_lines(chunk_size=None):
            name, _, value = line.decode().partition(": ")
            if line:
                # A large event has several lines of data.
                frame[name] = f"{frame[name]}\n{value}" if name in frame else value
            else:
                yield frame
                frame = {}


class Copy:
    """The facts from the frames, and the cursor up to which they are complete."""

    def __init__(self, cursor: str | None, facts: dict[str, Any]) -> None:
        self.cursor, self.facts, self.deleted = cursor, facts, False
        self._snapshot: list[Any] | None = None

    def begin(self) -> None:
        """Begin a connection: discard an incomplete snapshot of the previous one."""
        self._snapshot = [] if self.cursor is None else None

    def take(self, event: str, data: Any) -> None:
        """Process one frame.  Ignore unknown ones."""
        if event == "reset":
            print("reset:", data["detail"], flush=True)
            self._snapshot = []
        elif event == "snapshot" and self._snapshot is not None:
            self._snapshot += data["facts"]
        elif event == "bookmark":
            self.cursor = data["cursor"]
            if self._snapshot is not None:  # now it is complete
                self.facts = {fact["path"]: fact["value"] for fact in self._snapshot}
                print(self.cursor, "snapshot facts:", len(self.facts), flush=True)
            self._snapshot = None
        elif event == "change":
            self.cursor = data["cursor"]
            for change in data["changes"]:
                print(self.cursor, change["type"], *self._apply(change), flush=True)

    def _apply(self, change: Any) -> list[str]:
        path, fact = change["path"], change["fact"]
        if change["type"] == "stack.delete":
            self.facts, self.deleted = {}, True
            return []
        if fact is None:
            self.facts.pop(path, None)
            return [path]
        self.facts[path] = fact["value"]
        return [path, json.dumps(fact["value"])]


def main(stack: str, file: Path) -> None:
    """Follow until the stack is deleted."""
    copy = Copy(**json.loads(file.read_text())) if file.exists() else Copy(None, {})
    new = file.with_suffix(".new")
    retry, failures = 1.0, 0
    while not copy.deleted:
        copy.begin()
        try:
            for frame in frames(stack, copy.cursor):
                failures = 0
                if "retry" in frame:
                    retry = int(frame["retry"]) / 1000
                if "event" in frame:
                    copy.take(frame["event"], json.loads(frame["data"]))
                    new.write_text(json.dumps({"cursor": copy.cursor, "facts": copy.facts}))
                    new.replace(file)  # cursor and facts in one step
        except OSError as error:
            print(error, file=sys.stderr)
        # Longer after each failure, and not all clients at the same moment.
        time.sleep(retry * 2 ** min(failures, 5) + random.uniform(0, 0.5))  # noqa: S311
        failures += 1


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
