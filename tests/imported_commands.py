"""All that commands import, for the process that :mod:`tests.commands` forks."""

import sys

sys.modules["osprofiler"] = None  # type: ignore[assignment]  # see tests.commands.program

import factstore.agent.cli  # noqa: E402
import factstore.cmd.deployment  # noqa: E402
import factstore.cmd.key_rotation  # noqa: E402
import factstore.cmd.main  # noqa: E402
import factstore.cmd.purge_project  # noqa: E402, F401
