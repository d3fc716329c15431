"""``factstore-status upgrade check``: report what an upgrade, or the service as it is, would fail on.

Run it with the new version and the configuration of the service, before the workers are restarted.  It
reads the configuration, etcd, the sealing keys and Keystone, and changes nothing.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from factstore.client.program_output import run_program
from factstore.cmd.errors import CommandError
from factstore.cmd.server import add_version, requires_server_packages

if TYPE_CHECKING:
    from oslo_upgradecheck.upgradecheck import Result

PROGRAM = "factstore-status"
BROKEN = 255  # the status if the checks could not run


def main(argv: Sequence[str] | None = None) -> int:
    """Print the results; return 0, 1 for warnings, 2 for failures, or 255 if a check broke."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return run_program(PROGRAM, lambda: _run(arguments), lambda: BROKEN)


def _run(arguments: list[str]) -> int:
    version = argparse.ArgumentParser(prog=PROGRAM, add_help=False, allow_abbrev=False)
    add_version(version)
    version.parse_known_args(arguments)
    try:
        with requires_server_packages(BROKEN):
            from oslo_config import cfg
            from oslo_upgradecheck import upgradecheck

            from factstore.cmd import status_checks
            from factstore.wsgi import configuration
    except CommandError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return error.status
    # Without a handler, Python prints warnings itself. Results contain the errors.
    logging.getLogger().addHandler(logging.NullHandler())
    conf = cfg.ConfigOpts()
    status_checks.register(conf)

    def named(check: Callable[[Any], Result]) -> Callable[[object], Result]:
        return lambda _: status_checks.guarded(check, conf)

    class Commands(upgradecheck.UpgradeCommands):
        _upgrade_checks = tuple((name, named(check)) for name, check in status_checks.CHECKS)

    try:
        return int(
            upgradecheck.main(
                conf,
                "factstore",
                Commands(),
                arguments,
                default_config_files=configuration.named_files() or None,
            )
        )
    except configuration.ERRORS as error:
        print(f"{PROGRAM}: the configuration {configuration.describe(error)}", file=sys.stderr)
        return BROKEN


if __name__ == "__main__":
    sys.exit(main())
