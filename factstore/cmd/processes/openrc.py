"""The files with credentials that OpenStack users source, or select a cloud from."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from factstore import SERVICE_TYPE

_OPTION = f"{SERVICE_TYPE}_service_type"


def openrc_text(
    *,
    auth_url: str,
    username: str,
    password: str,
    project: str,
    region: str,
    service_type: str = SERVICE_TYPE,
) -> str:
    """Return exports for keystoneauth1-based clients, with user and project in domain Default."""
    variables = {
        "OS_AUTH_TYPE": "password",
        "OS_AUTH_URL": auth_url,
        "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": username,
        "OS_PASSWORD": password,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_NAME": project,
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": region,
        "OS_INTERFACE": "public",
    }
    if service_type != SERVICE_TYPE:
        variables[f"OS_{_OPTION.upper()}"] = service_type
    # Variables of another login in the same shell would override these or conflict with them.
    stale = "OS_TOKEN OS_USER_ID OS_PROJECT_ID OS_TENANT_NAME OS_CLOUD OS_SYSTEM_SCOPE"
    lines = [f"unset {stale}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join(lines) + "\n"


def cloud(
    *,
    auth_url: str,
    username: str,
    password: str,
    project: str,
    region: str,
    service_type: str = SERVICE_TYPE,
) -> dict[str, Any]:
    """Return a cloud for :func:`clouds_text`, with user and project in domain Default."""
    auth = {
        "auth_url": auth_url,
        "username": username,
        "password": password,
        "user_domain_name": "Default",
        "project_name": project,
        "project_domain_name": "Default",
    }
    options = {"region_name": region, "interface": "public", "identity_api_version": "3"}
    if service_type != SERVICE_TYPE:
        options[_OPTION] = service_type
    return {"auth": auth, **options}


def clouds_text(clouds: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a ``clouds.yaml`` for openstacksdk. It is written as JSON, which is YAML too."""
    return json.dumps({"clouds": clouds}, indent=2) + "\n"
