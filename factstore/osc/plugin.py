"""The plugin: how OpenStackClient makes a client for the service.

The client sends requests with the token and the CAs of OpenStackClient's session.  Without Keystone,
the endpoint can contain a grant as user and password.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from osc_lib import exceptions

from factstore import SERVICE_TYPE
from factstore.client import Client
from factstore.client.connect import cause_of, checked
from factstore.client.endpoint import MICROVERSION, FixedEndpoint, split_user
from factstore.client.keystone import http_session

DEFAULT_API_VERSION = "1"
API_VERSION_OPTION = "os_contextualization_api_version"
API_NAME = SERVICE_TYPE
API_VERSIONS = ("1", MICROVERSION)

_OVERRIDE = f"{SERVICE_TYPE}_endpoint_override"
_SERVICE_TYPE = f"{SERVICE_TYPE}_service_type"


def make_client(manager: Any) -> Client:
    """Return the client for the cloud of OpenStackClient's client manager.

    :raises osc_lib.exceptions.CommandError: there is no authentication and no endpoint.
    :raises UnusableSettings: the endpoint is not the URL of a service.
    """
    config = manager.get_configuration()

    def option(name: str) -> str | None:
        return config.get(name) or os.environ.get(f"OS_{name.upper()}") or None

    http = http_session(manager.session, "--os-cacert", "--os-cacert (OS_CACERT)")
    override, cause = option(_OVERRIDE), cause_of(os.environ)
    if manager.auth_plugin_name in ("none", "noauth"):
        url = override or config.get("auth", {}).get("endpoint")
        if not url:
            raise exceptions.CommandError(
                "No service is named. Without Keystone, set --os-endpoint or OS_ENDPOINT, such as"
                " http://127.0.0.1:8796."
            )
        checked(url, "--os-endpoint, OS_ENDPOINT")
        return Client(FixedEndpoint(*split_user(url)), http=http, cause=cause)
    version = manager._api_version[API_NAME]
    return Client(
        manager.session,
        service_type=option(_SERVICE_TYPE) or SERVICE_TYPE,
        interface=manager.interface or None,
        region_name=manager.region_name or None,
        endpoint_override=override,
        default_microversion=version if "." in version else MICROVERSION,
        http=http,
        cause=cause,
    )


def build_option_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the global option of the plugin, and return the parser."""
    parser.add_argument(
        "--os-contextualization-api-version",
        metavar="<contextualization-api-version>",
        default=os.environ.get("OS_CONTEXTUALIZATION_API_VERSION", ""),
        help=f"Contextualization API version, default={DEFAULT_API_VERSION}"
        " (Env: OS_CONTEXTUALIZATION_API_VERSION)",
    )
    return parser
