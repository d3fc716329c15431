"""Create a client from the ``OS_*`` environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from keystoneauth1 import exceptions, loading
from keystoneauth1.session import Session

from factstore.client.adapter import SERVICE_TYPE
from factstore.client.client import Client

_ENDPOINT_OVERRIDE = f"OS_{SERVICE_TYPE.upper()}_ENDPOINT_OVERRIDE"


def connect(environ: Mapping[str, str] | None = None, **options: Any) -> Client:
    """Return a client that is configured by the ``OS_*`` variables.

    ``OS_AUTH_TYPE`` names a keystoneauth plugin.  Its options are variables too: for ``password``
    ``OS_AUTH_URL``, ``OS_USERNAME`` and so on, for ``none`` only ``OS_ENDPOINT``.  Without
    ``OS_AUTH_TYPE``, the token in ``OS_TOKEN`` is used if it is set, and otherwise a password.
    ``OS_REGION_NAME``, ``OS_INTERFACE``, ``OS_CACERT``, ``OS_CERT``, ``OS_KEY``, ``OS_INSECURE`` and
    ``OS_CONTEXTUALIZATION_ENDPOINT_OVERRIDE`` have the same meaning as in other clients.

    :param environ: the variables; None for those of the process.
    :param options: parameters of :class:`~factstore.client.client.Client`, which take precedence.
    :raises keystoneauth1.exceptions.MissingRequiredOptions: a variable is missing.
    """
    environ = os.environ if environ is None else environ
    known = {name: value for name, value in environ.items() if value}
    session = Session(_auth(known), verify=_verify(known), cert=_certificate(known))
    found = {
        "interface": known.get("OS_INTERFACE") or known.get("OS_ENDPOINT_TYPE"),
        "region_name": known.get("OS_REGION_NAME"),
        "endpoint_override": known.get(_ENDPOINT_OVERRIDE),
    }
    return Client(session, **{**found, **options})


def _auth(known: Mapping[str, str]) -> Any:
    kind = known.get("OS_AUTH_TYPE") or ("token" if "OS_TOKEN" in known else "password")
    loader: loading.BaseLoader[Any] = loading.get_plugin_loader(kind)

    def variable(option: loading.Opt) -> Any:
        names = [_variable(one.name) for one in (option, *option.deprecated)]
        return next((known[name] for name in names if name in known), option.default)

    if kind in ("none", "noauth") and not {"OS_ENDPOINT", _ENDPOINT_OVERRIDE} & known.keys():
        raise exceptions.MissingRequiredOptions(
            [option for option in loader.get_options() if option.dest == "endpoint"]
        )
    return loader.load_from_options_getter(variable)


def _variable(option: str) -> str:
    return f"OS_{option.replace('-', '_').upper()}"


def _verify(known: Mapping[str, str]) -> bool | str:
    if known.get("OS_INSECURE", "").lower() in ("1", "true", "yes", "on"):
        return False
    return known.get("OS_CACERT", True)


def _certificate(known: Mapping[str, str]) -> str | tuple[str, str] | None:
    certificate, key = known.get("OS_CERT"), known.get("OS_KEY")
    return (certificate, key) if certificate and key else certificate
