"""``factstore token``: print a Keystone token for a cloud or the ``OS_*`` variables, for use with curl.

``OS_AUTH_TYPE`` selects the keystoneauth plugin; the default is ``password``.
"""

from __future__ import annotations

import argparse
import os

from factstore.client import UnusableSettings
from factstore.client.clouds import with_cloud
from factstore.client.connect import auth_type
from factstore.client.http.session import HttpSession
from factstore.client.keystone import session_from
from factstore.client.keystone_failures import FAILURES, failure
from factstore.cmd.errors import CommandError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the option."""
    parser.add_argument(
        "--os-cloud",
        metavar="NAME",
        help="a cloud in clouds.yaml (default: OS_CLOUD, or the OS_* variables alone)",
    )


def run(args: argparse.Namespace) -> int:
    """Print the token on one line, and return 0. Raises CommandError if there is no token."""
    known = {name: value for name, value in os.environ.items() if value}
    try:
        known = with_cloud(known, args.os_cloud)
        http = HttpSession.from_environ(known)
        token = session_from(known, auth_type(known), http).get_token()
    except UnusableSettings as error:
        raise CommandError(f"no token: {error}") from error
    except FAILURES as error:
        reason = str(failure(error, http.trust) or error).rstrip(".")
        raise CommandError(
            f"no token: {reason}; check the OS_* variables, or source an openrc file"
        ) from error
    if token is None:
        raise CommandError(f"no token: OS_AUTH_TYPE {auth_type(known)} needs none")
    print(token)
    return 0
