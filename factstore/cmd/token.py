"""``factstore token``: print a token for the ``OS_*`` variables, so that curl can speak to the API.

Any login that keystoneauth1 knows will do: ``OS_AUTH_TYPE`` says which.
"""

from __future__ import annotations

import argparse

from keystoneauth1 import exceptions, loading

from factstore.cmd.errors import CommandError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options: none, the environment says it all."""


def run(_args: argparse.Namespace) -> int:
    """Print the token on a line of its own; 0. Raises CommandError if Keystone gives none."""
    environment = argparse.ArgumentParser()
    # These declare options whose defaults come from the environment; nothing is parsed.
    loading.register_auth_argparse_arguments(environment, [], default="password")
    loading.register_session_argparse_arguments(environment)
    options = environment.parse_args([])
    try:
        auth = loading.load_auth_from_argparse_arguments(options)
        session = loading.load_session_from_argparse_arguments(options)
        token = session.get_token(auth)
    except exceptions.ClientException as error:
        raise CommandError(f"no token: {error}; did you source an openrc file?") from error
    print(token)
    return 0
