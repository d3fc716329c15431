"""Children that are forks of a template if it has imported their program; see :mod:`tests.template`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from factstore.cmd.processes.api import API_ARGV
from factstore.cmd.processes.keystone import MANAGE
from factstore.cmd.processes.notifier import NOTIFY_ARGV
from factstore.cmd.processes.process import Child, Process
from tests.agents import ARGV as AGENT
from tests.commands import COMMANDS
from tests.template import Template

_SERVICE = Template("tests.imported_service")
_KEYSTONE = Template("tests.imported_keystone")
_PROGRAMS = (
    (list(API_ARGV), _SERVICE, "factstore.cmd.serve:main"),
    (list(NOTIFY_ARGV), _SERVICE, "factstore.cmd.notify:main"),
    ([sys.executable, "-m", "gunicorn"], _KEYSTONE, "gunicorn.app.wsgiapp:run"),
    ([sys.executable, "-c", MANAGE], _KEYSTONE, "keystone.cmd.manage:main"),
    (AGENT, COMMANDS, "factstore.agent.cli:main"),
)


class ForkedChild(Child):
    """A child that differs from others only in the time that it needs to start."""

    def _launch(
        self, argv: Sequence[str], log: int, env: Mapping[str, str] | None, cwd: Path | None
    ) -> Process:
        for program, template, entry in _PROGRAMS:
            if list(argv[: len(program)]) == program:
                with open(os.devnull, "rb") as nothing:
                    return template.start(
                        entry,
                        argv[len(program) :],
                        env=os.environ if env is None else env,
                        files=[nothing.fileno(), log, log],
                        cwd=cwd,
                        death_signal=self.death_signal,
                    )
        return super()._launch(argv, log, env, cwd)
