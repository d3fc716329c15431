"""The credential of the agent: chosen once, and taken whole from one place.

If the configuration names the service, the credential is the one in the configuration, or none.  Then
``OS_*`` variables are ignored: they may belong to the person who started the program, and half of a
credential from one place and half from another is nobody's.  ``FACTSTORE_GRANT`` is a whole credential
and replaces the one in the configuration.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from factstore.agent.config.settings import Settings
from factstore.agent.errors import Misconfigured

GRANT_VARIABLE = "FACTSTORE_GRANT"
CLOUD_VARIABLE = "OS_CLOUD"
_GRANT = re.compile(r"([A-Za-z0-9_-]{1,64})\.([!-~]{1,256})")
_MACHINE_VARIABLES = frozenset({"OS_CACERT"})
"""Variables that describe the machine, and are part of no credential."""
_NAMING_VARIABLES = ("OS_AUTH_TYPE", "OS_AUTH_URL", "OS_TOKEN")


@dataclass(frozen=True)
class Credential:
    """The service and the credential for it.

    :param variables: ``OS_*`` variables for the client, without a grant.
    :param url: the URL of the service, if the credential is a grant.
    :param grant: ``<id>.<secret>``, or None.
    :param ignored: what is set, but not part of this credential.
    """

    variables: Mapping[str, str] = field(repr=False)
    url: str = ""
    grant: str | None = field(default=None, repr=False)
    ignored: tuple[str, ...] = ()


def choose_credential(settings: Settings, environ: Mapping[str, str]) -> Credential:
    """Return the credential in the configuration or in the environment.

    :raises Misconfigured: it is missing or cannot be used, or there are two.
    """
    service = settings.service
    variables = {name: value for name, value in environ.items() if name.startswith("OS_") and value}
    unused = tuple(sorted(variables.keys() - _MACHINE_VARIABLES))
    if environ.get(GRANT_VARIABLE):
        grant = _parsed(environ[GRANT_VARIABLE], f"The grant in {GRANT_VARIABLE}")
        url = service.url or variables.get("OS_ENDPOINT", "")
        if not url:
            raise Misconfigured(
                f"The service's URL is not configured: a grant in {GRANT_VARIABLE} needs"
                " [service] url."
            )
        if not service.url:
            unused = tuple(name for name in unused if name != "OS_ENDPOINT")
        configured = ("grant_file",) * (service.grant_file is not None)
        return Credential(
            {}, url, grant, (*configured, *("[keystone]",) * bool(settings.keystone), *unused)
        )
    if service.grant_file is not None:
        return Credential({}, *_grant_of(settings, service.grant_file), unused)
    if settings.keystone:
        return Credential(_keystone_variables(settings), ignored=unused)
    if service.url:
        found = {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": service.url}
        return Credential(found, ignored=unused)
    if not any(name in variables for name in _NAMING_VARIABLES):
        raise Misconfigured(
            "The service's URL is not configured: set [service] url, [keystone] or OS_* variables."
        )
    # clouds.yaml is a person's file, and needs packages that an image should not.
    usable = {name: value for name, value in variables.items() if name != CLOUD_VARIABLE}
    return Credential(usable, ignored=(CLOUD_VARIABLE,) * (usable != variables))


def _grant_of(settings: Settings, file: Path) -> tuple[str, str]:
    """Return the URL and the grant in the configuration."""
    if settings.keystone:
        raise Misconfigured(
            "There are two credentials: [service] grant_file and [keystone]. Remove one of them."
        )
    if not settings.service.url:
        raise Misconfigured(
            "The service's URL is not configured: [service] grant_file needs [service] url."
        )
    return settings.service.url, _read_grant_file(file)


def _keystone_variables(settings: Settings) -> dict[str, str]:
    variables = {
        f"OS_{name.upper().replace('-', '_')}": value for name, value in settings.keystone.items()
    }
    if settings.service.url:
        variables["OS_CONTEXTUALIZATION_ENDPOINT_OVERRIDE"] = settings.service.url
    return {name: value for name, value in variables.items() if name != CLOUD_VARIABLE}


def _read_grant_file(file: Path) -> str:
    name = f"The grant in {file}"
    try:
        mode = os.stat(file).st_mode
        if stat.S_IMODE(mode) & 0o077 and not stat.S_ISDIR(mode):
            raise Misconfigured(f"{file} is accessible to other users: run chmod 600 {file}")
        data = file.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{name} cannot be read: {error.strerror}") from error
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Misconfigured(f"{name} cannot be read: it is UTF-16. Save it as ASCII.")
    try:
        return _parsed(data.decode("utf-8-sig").strip(), name)  # editors of Windows write a mark
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{name} cannot be read: it is not ASCII") from error


def _parsed(text: str, name: str) -> str:
    """Return a grant.  Errors do not quote it."""
    text = text.strip()
    if _GRANT.fullmatch(text):
        return text
    if not text.isascii():
        raise Misconfigured(f"{name} cannot be read: it is not ASCII")
    cause = ""
    if not text:
        cause = " It is empty."
    elif re.match(r"authorization|bearer|machine|[a-z_]+ *=", text, re.IGNORECASE):
        cause = " Write nothing else beside it: no header, no variable and no user."
    elif len(text.split()) > 1:
        cause = " It has several lines or words."
    raise Misconfigured(f"{name} is malformed: it must be <id>.<secret>, on one line.{cause}")
