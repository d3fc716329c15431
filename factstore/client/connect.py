"""Create a client, from the URL of a service, ``OS_*`` environment variables or ``clouds.yaml``."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping
from typing import Any

from factstore import SERVICE_TYPE
from factstore.client.client import Client
from factstore.client.clouds import with_cloud
from factstore.client.endpoint import Endpoint, FixedEndpoint, split_user
from factstore.client.errors import MissingVariables, UnusableSettings
from factstore.client.http.failures import Untrusted
from factstore.client.http.origin import Origin
from factstore.client.http.session import HttpSession

_CURSOR = re.compile(r"[0-9a-f]{16}\.(?:0|[1-9][0-9]{0,18})")
_ENDPOINT_OVERRIDE = f"OS_{SERVICE_TYPE.upper()}_ENDPOINT_OVERRIDE"
_SERVICE_TYPE = f"OS_{SERVICE_TYPE.upper()}_SERVICE_TYPE"


def connect(
    url: str | Mapping[str, str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cloud: str | None = None,
    **options: Any,
) -> Client:
    """Return a client for the service at a URL, or for the service that the ``OS_*`` variables name.

    With *url* there is no authentication, as for ``make standalone``, unless the URL contains a grant
    as user and password.  Without it, ``OS_AUTH_TYPE`` names a keystoneauth plugin.  Its options are
    variables too: for ``password`` ``OS_AUTH_URL``, ``OS_USERNAME`` and so on, for ``none`` only
    ``OS_ENDPOINT``, and for a grant ``http_basic``, ``OS_ENDPOINT``, ``OS_USERNAME`` and
    ``OS_PASSWORD``.  Without ``OS_AUTH_TYPE``, the token in ``OS_TOKEN`` is used if it is set, and
    otherwise a password.

    ``OS_CLOUD``, or *cloud*, names a cloud of ``clouds.yaml`` and ``secure.yaml``, which need the extra
    ``cloud``.  The variables that are set take precedence over the files.

    ``OS_REGION_NAME``, ``OS_INTERFACE`` and ``OS_CONTEXTUALIZATION_ENDPOINT_OVERRIDE`` have the same
    meaning as in other clients, ``OS_CONTEXTUALIZATION_SERVICE_TYPE`` is the service's type in the
    catalog if it is another one, and so have ``OS_CACERT``, ``OS_CERT``, ``OS_KEY`` and
    ``OS_INSECURE``, which also apply to *url*.  Without ``OS_CACERT``, the certificates of
    ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE`` or ``SSL_CERT_FILE`` are trusted, and otherwise those of
    the system.  Proxies are those of ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy``;
    this machine and link-local addresses are always reached directly.  Passwords in ``~/.netrc`` are
    never sent.

    In a hook of an agent, writes state the cursor in ``FACTSTORE_CURSOR`` as their cause; see
    :meth:`Stack.acting_on`.

    :param url: such as ``http://127.0.0.1:8796``; or the same as *environ*.
    :param environ: the variables; None for those of the process.
    :param cloud: the name of a cloud, instead of that in ``OS_CLOUD``.
    :param options: parameters of :class:`~factstore.client.client.Client`, which take precedence.
    :raises UnusableSettings: a variable is missing (:class:`MissingVariables`) or cannot be used.
    """
    _check_options(options)
    if isinstance(url, Mapping):
        url, environ = None, url
    environ = os.environ if environ is None else environ
    known = {name: value for name, value in environ.items() if value}
    options.setdefault("cause", cause_of(known))
    if url is None:
        known = with_cloud(known, cloud)
    elif cloud is not None:
        raise TypeError("connect() needs the URL of a service or the name of a cloud, not both.")
    # CAs and proxies belong to the machine, if a mapping that names the service has none.
    own = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    http = options.pop("http", None) or HttpSession.from_environ({**own, **known})
    if url is not None:
        _check_trust(http, checked(url))
        return Client(_endpoint(url), http=http, **options)
    named = ("OS_ENDPOINT", _ENDPOINT_OVERRIDE, "OS_AUTH_URL")
    _check_trust(http, *(known.get(name) for name in named))
    kind = auth_type(known)
    if kind in ("none", "noauth", "http_basic"):
        return Client(_endpoint_of(known, kind == "http_basic"), http=http, **options)
    if not known.keys() & {"OS_AUTH_TYPE", "OS_AUTH_URL", "OS_TOKEN"}:
        raise MissingVariables({"auth_url": "OS_AUTH_URL"})
    try:
        from factstore.client import keystone
    except ImportError as error:
        how = f"OS_AUTH_TYPE {kind}" if "OS_AUTH_TYPE" in known else "Authentication with Keystone"
        raise UnusableSettings(
            f"{how} needs the Python package keystoneauth1, which is not installed. Install"
            " python3-keystoneauth1. An agent can use a grant instead, which needs no Keystone."
        ) from error
    _check_auth_url(known)
    session = keystone.session_from(known, kind, http)
    interface = known.get("OS_INTERFACE") or known.get("OS_ENDPOINT_TYPE")
    found = {
        # clouds.yaml can have several, of which the first is preferred.
        "interface": interface.split(",") if interface and "," in interface else interface,
        "region_name": known.get("OS_REGION_NAME"),
        "endpoint_override": known.get(_ENDPOINT_OVERRIDE),
        "service_type": known.get(_SERVICE_TYPE, SERVICE_TYPE),
    }
    return Client(session, http=http, **{**found, **options})


def cause_of(environ: Mapping[str, str]) -> str | None:
    """Return the cursor on which a hook of an agent acts; None outside of hooks."""
    cursor = environ.get("FACTSTORE_CURSOR", "")
    return cursor if _CURSOR.fullmatch(cursor) else None


def auth_type(known: Mapping[str, str]) -> str:
    """Return the keystoneauth plugin that the variables name."""
    return known.get("OS_AUTH_TYPE") or ("token" if "OS_TOKEN" in known else "password")


def _check_options(options: Mapping[str, Any]) -> None:
    own = inspect.signature(Client).parameters.keys() - {"session", "options"}
    unknown = options.keys() - own
    if unknown:
        try:
            from factstore.client.keystone import OPTIONS

            unknown -= OPTIONS
        except ImportError:
            pass
    if unknown:
        raise TypeError(
            f"connect() has no option {min(unknown)!r}. To connect without authentication, pass the URL"
            ' alone: connect("http://127.0.0.1:8796"). With Keystone, set the OS_* variables and'
            f" call connect(). The options are {', '.join(sorted(own))}."
        )


def checked(url: object, source: str = "") -> str:
    """Return the URL of a service.

    :param source: the options that name it, for errors.
    :raises UnusableSettings: it is not the URL of a service.
    """
    if not isinstance(url, str):
        raise TypeError(f"connect() needs the URL of a service as text, not {url!r}.")
    named = f" ({source})" if source else ""
    try:
        shown, _ = split_user(url)
        Origin.parse(url)
    except ValueError:  # no server, brackets without an address, or a port that is none
        shown = url.rpartition("@")[2]
        raise UnusableSettings(
            f"{shown!r}{named} is not a URL. Use http://HOST:PORT or https://HOST:PORT, with an"
            " IPv6 address in brackets."
        ) from None
    _, _, path = shown.partition("//")[2].partition("/")
    if "/v1/" in f"/{path.rstrip('/')}" or "?" in path or "#" in path:
        raise UnusableSettings(
            f"{shown!r}{named} is not the URL of a service. Leave out everything from /v1 on, and name"
            ' the stack with connect("http://HOST:PORT").stack("NAME").'
        )
    return url


def _check_auth_url(known: Mapping[str, str]) -> None:
    try:
        if "OS_AUTH_URL" in known:
            Origin.parse(known["OS_AUTH_URL"])
    except ValueError:
        shown = known["OS_AUTH_URL"].rpartition("@")[2]
        raise UnusableSettings(
            f"{shown!r} (OS_AUTH_URL) is not a URL of Keystone, such as https://HOST:5000/v3."
        ) from None


def _endpoint(url: str) -> Endpoint:
    return FixedEndpoint(*split_user(url))


def _endpoint_of(known: Mapping[str, str], basic: bool) -> Endpoint:
    """Return the endpoint that the variables name without Keystone."""
    names = {"endpoint": "OS_ENDPOINT"}
    if basic:
        names |= {"username": "OS_USERNAME", "password": "OS_PASSWORD"}
    url = known.get(_ENDPOINT_OVERRIDE) or known.get("OS_ENDPOINT")
    present = {**known, "OS_ENDPOINT": url}
    missing = {option: name for option, name in names.items() if not present.get(name)}
    if url is None or missing:
        raise MissingVariables(missing)
    endpoint, user = split_user(checked(url, "OS_ENDPOINT"))
    if not basic:
        return FixedEndpoint(endpoint, user)
    if user is not None:
        raise UnusableSettings(
            "There are two credentials: OS_USERNAME, and a user in the URL of the service. Remove one."
        )
    return FixedEndpoint(endpoint, (known["OS_USERNAME"], known["OS_PASSWORD"]))


def _check_trust(http: HttpSession, *urls: str | None) -> None:
    """Raise UnusableSettings if one of the URLs needs certificates that cannot be used."""
    if any((url or "").lower().startswith("https:") for url in urls):
        try:
            http.trust.context()
        except Untrusted as error:
            raise UnusableSettings(str(error)) from error
