"""The cloud-config that makes an instance a member: the agent's settings, its grant and its unit.

The functions are pure: they know neither Heat nor the client.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from factstore.cloud_init import Download, Settings, first_boot, format_value

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TITLE = re.compile(r"[^\[\]\s](?:[^\[\]\r\n]*[^\[\]\s])?")

_MERGING = [
    {"name": "list", "settings": ["append"]},
    {"name": "dict", "settings": ["no_replace", "recurse_list"]},
]
"""Makes cloud-init append the lists of this part to those of earlier parts instead of dropping them."""

Unchecked = Mapping[Any, Any]
"""Settings from a template, which may be invalid."""


def cloud_config(
    own: Settings,
    token: str,
    *,
    settings: Unchecked | None = None,
    download: Download | None = None,
    cacert: str | None = None,
) -> dict[str, Any]:
    """Return the cloud-config as a document.

    :param own: the settings that follow from the grant: stack, member, group and the service's URL.
    :param token: the grant.
    :param settings: further settings, such as templates; they must not repeat those in *own*.
    :param download: the agent to download; None if the image contains it and its unit.
    :param cacert: certificates for the service's TLS, in PEM; None for the system's.
    :raises ValueError: *settings* or *cacert* is invalid.
    """
    if cacert is not None and "-----BEGIN CERTIFICATE-----" not in cacert:
        raise ValueError("cacert is not a certificate in PEM, which contains BEGIN CERTIFICATE.")
    steps = first_boot(merged(own, settings or {}), token, download=download, cacert=cacert)
    return {
        "merge_how": _MERGING,
        "write_files": [
            {"path": file.path, "permissions": f"{file.mode:04o}", "content": file.content}
            for file in steps.files
        ],
        "runcmd": [list(command) for command in steps.commands],
    }


def user_data(document: Mapping[str, Any]) -> str:
    """Return a document as user data."""
    dumped: str = yaml.dump(
        dict(document), Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=1000
    )
    return f"#cloud-config\n{dumped}"


def merged(own: Settings, settings: Unchecked) -> Settings:
    """Return the sections of both.

    :raises ValueError: an option is in both, or is not valid in a configuration file.
    """
    sections = {title: dict(options) for title, options in own.items()}
    for title, options in settings.items():
        if not (isinstance(title, str) and _TITLE.fullmatch(title)):
            raise ValueError(
                f"{title!r} is not a valid section name. A section name is one line without brackets."
            )
        if not isinstance(options, Mapping):
            raise ValueError(f"section [{title}] must be a map of options.")
        section = sections.setdefault(title, {})
        for name, value in options.items():
            if not (isinstance(name, str) and _NAME.fullmatch(name)):
                raise ValueError(f"section [{title}]: {name!r} is not a valid option name.")
            if name in own.get(title, {}) or (title, name) in _FROM_PROPERTIES:
                raise ValueError(f"[{title}] {name} is set from the grant. Leave it out.")
            if "\n" in format_value(value) or "\r" in format_value(value):
                raise ValueError(f"the value of [{title}] {name} must be one line.")
            section[name] = value
    return sections


_FROM_PROPERTIES = {("service", "grant_file"), ("service", "cacert")}


class _Dumper(yaml.SafeDumper):
    """Writes strings of several lines as literal blocks, which people can read."""


def _text_of(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text_of)
