"""Create a client, from the URL of a service or from the ``OS_*`` environment variables."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from keystoneauth1 import adapter, exceptions, loading
from keystoneauth1.noauth import NoAuth
from keystoneauth1.session import Session

from factstore.client.adapter import SERVICE_TYPE
from factstore.client.client import Client
from factstore.client.http_session import HttpSession

_ENDPOINT_OVERRIDE = f"OS_{SERVICE_TYPE.upper()}_ENDPOINT_OVERRIDE"


class MissingVariables(exceptions.MissingRequiredOptions):
    """The ``OS_*`` variables that :func:`connect` needs are not set."""

    def __init__(self, options: Sequence[loading.Opt], known: Mapping[str, str]) -> None:
        super().__init__(list(options))
        missing = ", ".join(f"{option.dest} ({_variable(option.name)})" for option in options)
        if "OS_CLOUD" in known:
            missing += "; OS_CLOUD and clouds.yaml are not read"
        text = (
            f"No service is named, because an option is not set: {missing}. With Keystone, source an"
            " openrc file. For the service of make standalone, export OS_AUTH_TYPE=none"
            ' OS_ENDPOINT=http://127.0.0.1:8796, or call connect("http://127.0.0.1:8796").'
        )
        self.args = (text,)

    def __str__(self) -> str:
        return str(self.args[0])


def connect(
    url: str | Mapping[str, str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    **options: Any,
) -> Client:
    """Return a client for the service at a URL, or for the service that the ``OS_*`` variables name.

    With *url* there is no authentication, as for ``make standalone``.  Without it, ``OS_AUTH_TYPE``
    names a keystoneauth plugin.  Its options are variables too: for ``password`` ``OS_AUTH_URL``,
    ``OS_USERNAME`` and so on, for ``none`` only ``OS_ENDPOINT``.  Without ``OS_AUTH_TYPE``, the token
    in ``OS_TOKEN`` is used if it is set, and otherwise a password.

    ``OS_REGION_NAME``, ``OS_INTERFACE`` and ``OS_CONTEXTUALIZATION_ENDPOINT_OVERRIDE`` have the same
    meaning as in other clients, and so have ``OS_CACERT``, ``OS_CERT``, ``OS_KEY`` and
    ``OS_INSECURE``, which also apply to *url*.  Without ``OS_CACERT``, the certificates of
    ``REQUESTS_CA_BUNDLE`` or ``CURL_CA_BUNDLE`` are trusted.  Proxies are those of ``http_proxy``,
    ``https_proxy`` and ``no_proxy``.  Passwords in ``~/.netrc`` are never sent.

    :param url: such as ``http://127.0.0.1:8796``; or the same as *environ*.
    :param environ: the variables; None for those of the process.
    :param options: parameters of :class:`~factstore.client.client.Client`, which take precedence.
    :raises MissingVariables: a variable is missing; a
        :class:`keystoneauth1.exceptions.MissingRequiredOptions`.
    """
    _check_options(options)
    if isinstance(url, Mapping):
        url, environ = None, url
    environ = os.environ if environ is None else environ
    known = {name: value for name, value in environ.items() if value}
    auth = _auth(known) if url is None else NoAuth(_checked(url))
    session = Session(auth, session=HttpSession(), verify=_verify(known), cert=_certificate(known))
    if url is not None:
        return Client(session, **options)
    found = {
        "interface": known.get("OS_INTERFACE") or known.get("OS_ENDPOINT_TYPE"),
        "region_name": known.get("OS_REGION_NAME"),
        "endpoint_override": known.get(_ENDPOINT_OVERRIDE),
    }
    return Client(session, **{**found, **options})


def _check_options(options: Mapping[str, Any]) -> None:
    own = inspect.signature(Client).parameters.keys() - {"session", "options"}
    accepted = own | inspect.signature(adapter.Adapter).parameters.keys()
    for name in options:
        if name not in accepted:
            raise TypeError(
                f"connect() has no option {name!r}. To connect without authentication, pass the URL"
                ' alone: connect("http://127.0.0.1:8796"). With Keystone, set the OS_* variables and'
                f" call connect(). The options are {', '.join(sorted(own))}."
            )


def _checked(url: object) -> str:
    if not isinstance(url, str):
        raise TypeError(f"connect() needs the URL of a service as text, not {url!r}.")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an address, or a port that is none
        usable = False
    if not usable:
        raise ValueError(f"{url!r} is not a URL. Use http://HOST:PORT or https://HOST:PORT.")
    if "/v1/" in f"{parts.path.rstrip('/')}" or parts.query or parts.fragment:
        raise ValueError(
            f"{url!r} is not the URL of a service. Leave out everything from /v1 on, and name the"
            ' stack with connect("http://HOST:PORT").stack("NAME").'
        )
    return url


def _auth(known: Mapping[str, str]) -> Any:
    kind = known.get("OS_AUTH_TYPE") or ("token" if "OS_TOKEN" in known else "password")
    loader: loading.BaseLoader[Any] = loading.get_plugin_loader(kind)

    def variable(option: loading.Opt) -> Any:
        names = [_variable(one.name) for one in (option, *option.deprecated)]
        return next((known[name] for name in names if name in known), option.default)

    if kind in ("none", "noauth") and not {"OS_ENDPOINT", _ENDPOINT_OVERRIDE} & known.keys():
        endpoint = [option for option in loader.get_options() if option.dest == "endpoint"]
        raise MissingVariables(endpoint, known)
    try:
        return loader.load_from_options_getter(variable)
    except exceptions.MissingRequiredOptions as error:
        raise MissingVariables(error.options, known) from None


def _variable(option: str) -> str:
    return f"OS_{option.replace('-', '_').upper()}"


def _verify(known: Mapping[str, str]) -> bool | str:
    if known.get("OS_INSECURE", "").lower() in ("1", "true", "yes", "on"):
        return False
    bundles = ("OS_CACERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    return next((known[name] for name in bundles if name in known), True)


def _certificate(known: Mapping[str, str]) -> str | tuple[str, str] | None:
    certificate, key = known.get("OS_CERT"), known.get("OS_KEY")
    return (certificate, key) if certificate and key else certificate
