"""Clouds of ``clouds.yaml`` and ``secure.yaml``, as the ``OS_*`` variables that mean the same.

openstacksdk reads the files, because their rules are its own: the places, profiles of vendors, regions
and old names.  It is needed only if a cloud is named.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
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
    for files_of_kind in places.values():
        _check_first(files_of_kind)
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


def _check_first(names: Sequence[str]) -> None:
    """Check the form of the first file that exists, because openstacksdk passes over a broken one.

    :raises UnusableSettings: it is not YAML, or has another form.
    """
    import yaml

    name = next((name for name in names if os.path.isfile(name)), None)
    if name is None:
        return
    try:
        with open(name, encoding="utf-8") as file:
            contents = yaml.safe_load(file)
    except OSError as error:
        raise UnusableSettings(f"{name} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UnusableSettings(f"{name} is not text in UTF-8; save it as UTF-8.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise UnusableSettings(f"{name} is not YAML: {where}{problem}.") from error
    clouds = contents.get("clouds", {}) if isinstance(contents, dict) else contents
    if clouds is None and contents is None:  # an empty file
        return
    if not isinstance(clouds, dict) or not all(isinstance(each, dict) for each in clouds.values()):
        raise UnusableSettings(
            f"{name} has another form than clouds.yaml: under clouds:, each name of a cloud needs a"
            " mapping with auth: and the other settings."
        )
    for cloud, settings in clouds.items():
        if not isinstance(settings.get("auth") or {}, dict):
            raise UnusableSettings(f"{name}: auth of the cloud {cloud!r} is not a mapping.")


def _unknown(cloud: str, files: Any) -> str:
    if not files.config_filename:
        return (
            f"No clouds.yaml was found for the cloud {cloud!r}. Put it into the working directory,"
            " ~/.config/openstack or /etc/openstack, or name it in OS_CLIENT_CONFIG_FILE."
        )
    # A file without clouds gets one from openstacksdk.
    names = ", ".join(sorted(set(files.cloud_config["clouds"]) - {"defaults"}))
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
