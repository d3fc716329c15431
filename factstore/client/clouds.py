"""Clouds of ``clouds.yaml`` and ``secure.yaml``, as the ``OS_*`` variables that mean the same.

openstacksdk reads the files, because their rules are its own: the places, profiles of vendors, regions
and old names.  It is needed only if a cloud is named.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from factstore import SERVICE_TYPE
from factstore.client.errors import UnusableSettings

_FILES = {"config_files": "OS_CLIENT_CONFIG_FILE", "secure_files": "OS_CLIENT_SECURE_FILE"}


def with_cloud(known: Mapping[str, str], cloud: str | None = None) -> dict[str, str]:
    """Return variables, with those of a cloud for all that are not set.

    :param known: variables that are set; ``OS_CLOUD`` names a cloud.
    :param cloud: the name of the cloud, instead of the variable's.
    :raises UnusableSettings: the cloud is unknown, a file cannot be read, or openstacksdk is missing.
    """
    name = cloud or known.get("OS_CLOUD")
    if not name or name == known.get(
        "OS_CLOUD_NAME", "envvars"
    ):  # openstacksdk's name for variables
        return dict(known)
    own = {key: value for key, value in known.items() if key != "OS_CLOUD"}
    return {**_variables_of(name, known), **own}


def _variables_of(cloud: str, known: Mapping[str, str]) -> dict[str, str]:
    try:
        import yaml
        from openstack import config, exceptions
        from openstack.config import loader
    except ImportError as error:
        raise UnusableSettings(
            f"The cloud {cloud!r} is in clouds.yaml, which needs openstacksdk. Install it with"
            " pip install 'openstack-factstore[cloud]', or set the OS_* variables and no OS_CLOUD."
        ) from error
    places = {"config_files": list(loader.CONFIG_FILES), "secure_files": list(loader.SECURE_FILES)}
    for kind, variable in _FILES.items():
        if variable in known:
            if not os.path.isfile(known[variable]):
                raise UnusableSettings(f"{variable} names {known[variable]}, which is not a file.")
            places[kind].insert(0, known[variable])
    try:
        files = config.OpenStackConfig(load_envvars=False, **places)
        if cloud not in files.cloud_config["clouds"]:
            raise UnusableSettings(_unknown(cloud, files))
        # Without the plugin's own checks, because a variable can set what the file leaves out.
        region = files.get_one(cloud, validate=False, region_name=known.get("OS_REGION_NAME"))
        return _variables(region)
    # openstacksdk does not check the form of a file: a wrong one causes errors of any kind.
    except (exceptions.SDKException, yaml.YAMLError, OSError, TypeError, AttributeError) as error:
        raise UnusableSettings(
            f"The cloud {cloud!r} in clouds.yaml cannot be used: {error}"
        ) from error


def _unknown(cloud: str, files: Any) -> str:
    if not files.config_filename:
        return (
            f"No clouds.yaml was found for the cloud {cloud!r}. Put it into the working directory,"
            " ~/.config/openstack or /etc/openstack, or name it in OS_CLIENT_CONFIG_FILE."
        )
    names = ", ".join(sorted(files.cloud_config["clouds"]))
    return f"{files.config_filename} has no cloud {cloud!r}. Its clouds are {names or 'none'}."


def _variables(region: Any) -> dict[str, str]:
    """Return the variables for a cloud in one of its regions."""
    verify, certificate = region.get_requests_verify_args()
    client, key = certificate if isinstance(certificate, tuple) else (certificate, None)
    interface = region.get_interface(SERVICE_TYPE)
    own = {
        "auth_type": region.config.get("auth_type"),
        "region_name": region.get_region_name(SERVICE_TYPE),
        "interface": ",".join(interface) if isinstance(interface, list) else interface,
        f"{SERVICE_TYPE}_endpoint_override": region.get_endpoint(SERVICE_TYPE),
        "cacert": verify if isinstance(verify, str) else None,
        "insecure": "true" if verify is False else None,
        "cert": client,
        "key": key,
    }
    # An option of the login can be beside the section auth as well as in it.
    options = {**region.config, **(region.config.get("auth") or {}), **own}
    return {
        f"OS_{name.upper()}": str(value)
        for name, value in options.items()
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value != ""
    }
