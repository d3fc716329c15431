"""An agent that kills itself with SIGKILL just before it calls some function.

``python -m tests.agent.crashes MODULE:NAME WORD ARGUMENTS...`` dies when that function is called with
an argument whose text contains the word.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import Any

from factstore.agent.cli import main


def die_before(target: str, word: str) -> None:
    """Kill the process before a call of this function with this word."""
    module, _, path = target.partition(":")
    holder: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for each in outer:
        holder = getattr(holder, each)
    plain = getattr(holder, name)

    def deadly(*args: Any, **more: Any) -> Any:
        if word in repr((args, more)):
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(*args, **more)

    setattr(holder, name, deadly)


if __name__ == "__main__":
    die_before(*sys.argv[1:3])
    sys.exit(main(sys.argv[3:]))
