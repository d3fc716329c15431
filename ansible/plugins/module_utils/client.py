"""The client of a plugin's options."""

from __future__ import annotations

import os
from urllib.parse import quote, urlsplit

try:
    from factstore.client import FactstoreError, connect
except ImportError as error:
    MISSING = error
    FactstoreError = connect = None
else:
    MISSING = None

CONNECTION = {
    "url": {"type": "str"},
    "grant": {"type": "str", "no_log": True},
    "cloud": {"type": "str"},
}
"""The options of a connection, for modules."""

RULES = {
    "mutually_exclusive": [("url", "cloud"), ("grant", "cloud")],
    "required_by": {"grant": ("url",)},
}
"""The rules for these options."""


def open_stack(name, url=None, grant=None, cloud=None):
    """Return the stack with this name.

    :raises ImportError: the Python client is not installed.
    :raises ValueError: an option is wrong.
    """
    if MISSING is not None:
        raise ImportError(
            "The Python client is missing on the machine that runs the plugin. Install it with: pip"
            f" install openstack-factstore ({MISSING})"
        )
    try:
        return _client(url, grant, cloud).stack(name)
    except FactstoreError as error:
        raise ValueError(str(error)) from error


def _client(url, grant, cloud):
    if cloud:
        # Variables such as OS_AUTH_URL would take precedence over the cloud that the option names.
        own = {name: value for name, value in os.environ.items() if _is_kept(name)}
        return connect(environ=own, cloud=cloud)
    if not url:
        return connect()
    if grant:
        identifier, separator, secret = grant.partition(".")
        if not separator:
            raise ValueError("A grant has the form ID.SECRET.")
        parts = urlsplit(url)
        place = parts.netloc.rpartition("@")[2]
        user = f"{quote(identifier, safe='')}:{quote(secret, safe='')}"
        url = parts._replace(netloc=f"{user}@{place}").geturl()
    return connect(url)


def _is_kept(variable):
    """Return True for variables that do not authenticate: OS_CLIENT_CONFIG_FILE names clouds.yaml."""
    return variable.startswith("OS_CLIENT_") or not variable.startswith("OS_")


def fields_of(record, *left_out):
    """Return a record as a dictionary that JSON can represent."""
    found = {name: value for name, value in vars(record).items() if name not in left_out}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in found.items()}


def stack_of(module):
    """Return the stack that a module's options name; end the module if the options are wrong."""
    options = {name: module.params[name] for name in CONNECTION}
    try:
        return open_stack(module.params["stack"], **options)
    except (ImportError, ValueError) as error:
        module.fail_json(msg=str(error))


def run(module, action):
    """Call *action* with the stack, and end the module with what it returns."""
    stack = stack_of(module)
    try:
        module.exit_json(**action(module, stack))
    except FactstoreError as error:
        module.fail_json(
            msg=str(error), status=error.status, code=error.code, request_id=error.request_id
        )
