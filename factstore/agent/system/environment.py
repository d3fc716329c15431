"""The environment of hooks and of programs in facts.d.

systemd starts a service without ``HOME``, and the agent's program need not be in a directory of its
``PATH``.  Programs get both, and a locale that can print every fact.
"""

from __future__ import annotations

import logging
import os
import pwd
import shlex
import sys
from collections.abc import MutableMapping, Sequence
from pathlib import Path

from factstore.agent.system.state_dir import make_directory, write_state

LOG = logging.getLogger(__name__)

PROGRAM = "factstore-agent"
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def complete_environment(
    environ: MutableMapping[str, str], state: Path, command: Sequence[str]
) -> None:
    """Add the variables that are missing, and a ``PATH`` with the agent's own program.

    :param state: the state directory, below which the program gets a directory of its own.  The one in
        which it is installed may contain others, such as the Python of a virtual environment.
    :param command: runs the agent.
    """
    try:
        user = pwd.getpwuid(os.geteuid())
    except KeyError:  # the user has no entry
        environ.setdefault("HOME", "/")
    else:
        environ.setdefault("HOME", user.pw_dir)
        environ.setdefault("USER", user.pw_name)
        environ.setdefault("LOGNAME", user.pw_name)
        environ.setdefault("SHELL", user.pw_shell or "/bin/sh")
    if not (environ.get("LC_ALL") or environ.get("LANG")):  # Python itself adds LC_CTYPE at most
        environ["LANG"] = "C.UTF-8"
    path = environ.get("PATH") or _DEFAULT_PATH
    try:
        own = str(_write_program(state.absolute() / "bin", command))
    except OSError as error:
        LOG.warning("hooks may not find %s: %s: %s", PROGRAM, error.filename, error.strerror)
        environ["PATH"] = path
    else:
        # The environment is also that of the agent when it restarts itself.
        others = [each for each in path.split(os.pathsep) if each != own]
        environ["PATH"] = os.pathsep.join([own, *others])


def own_command() -> list[str]:
    """Return the command that runs this program, without its arguments."""
    words = Path("/proc/self/cmdline").read_bytes().split(b"\0")[:-1]
    command = [os.fsdecode(word) for word in words[1 : len(words) - len(sys.argv) + 1]]
    if command[-1:] == sys.argv[:1]:  # a file, and not -m or -c
        command[-1] = os.path.abspath(command[-1])
    return [sys.executable, *command]


def _write_program(directory: Path, command: Sequence[str]) -> Path:
    make_directory(directory, mode=0o755)
    text = f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n'.encode()
    file = directory / PROGRAM
    if not file.exists() or file.read_bytes() != text:
        write_state(file, text, mode=0o755)
    return directory
