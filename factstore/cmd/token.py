"""``factstore token``: print a Keystone token for the ``OS_*`` variables, for use with curl.

``OS_AUTH_TYPE`` selects the keystoneauth plugin; the default is ``password``.
"""

from __future__ import annotations

import argparse
import os

from keystoneauth1 import exceptions, loading

from factstore.client.http.trust import Trust, certificates_in
from factstore.cmd.errors import CommandError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare no options: the command reads the environment."""


def run(_args: argparse.Namespace) -> int:
    """Print the token on one line, and return 0. Raises CommandError if there is no token."""
    environment = argparse.ArgumentParser()
    # These declare options whose defaults come from the environment; nothing is parsed.
    loading.register_auth_argparse_arguments(environment, [], default="password")
    loading.register_session_argparse_arguments(environment)
    options = environment.parse_args([])
    try:
        auth = loading.load_auth_from_argparse_arguments(options)
        session = loading.load_session_from_argparse_arguments(options)
        if session.verify is True:  # not the CAs of the package certifi
            session.verify = Trust(certificates_in(os.environ)).bundle()
        token = session.get_token(auth)
    except exceptions.ClientException as error:
        raise CommandError(
            f"no token: {error}; check the OS_* variables, or source an openrc file"
        ) from error
    print(token)
    return 0
