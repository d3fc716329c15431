"""The cloud-config that makes an instance a member: the agent's settings, its grant and its unit.

The functions are pure: they know neither Heat nor the client.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

import yaml

GRANT_FILE = "/etc/factstore/grant"
SETTINGS_FILE = "/etc/factstore/agent.conf"
UNIT_FILE = "/etc/systemd/system/factstore-agent.service"
_VENV = "/opt/factstore"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TITLE = re.compile(r"[^\[\]\s](?:[^\[\]\r\n]*[^\[\]\s])?")

UNIT = """\
[Unit]
Description=factstore agent
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
NotifyAccess=main
ExecStart=/opt/factstore/bin/factstore-agent run
# The agent restarts itself with the current program and configuration, as the same member.
# With a restart of the unit, the member would depart first.
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
# Time for a hook to end and for the member to depart.
TimeoutStopSec=60
Restart=on-failure
RestartSec=5
# The configuration is wrong, or another agent is this member.
RestartPreventExitStatus=2 3
StateDirectory=factstore-agent
StateDirectoryMode=0700
UMask=0022

# Hooks configure the instance and may need any of the other permissions that systemd could
# remove.
KeyringMode=private
LockPersonality=true
ProtectKernelLogs=true

[Install]
WantedBy=multi-user.target
"""
"""A copy of the unit in ``etc/systemd``, a directory that an installed Heat does not have."""

_MERGING = [
    {"name": "list", "settings": ["append"]},
    {"name": "dict", "settings": ["no_replace", "recurse_list"]},
]
"""Makes cloud-init append the lists of this part to those of earlier parts instead of dropping them."""

Settings = Mapping[str, Mapping[str, Any]]
"""Options by section of the agent's configuration."""
Unchecked = Mapping[Any, Any]
"""Settings from a template, which may be invalid."""


def cloud_config(
    own: Settings, token: str, *, settings: Unchecked | None = None, install: str = ""
) -> dict[str, Any]:
    """Return the cloud-config as a document.

    :param own: the settings that follow from the grant: stack, member, group and the service's URL.
    :param token: the grant.
    :param settings: further settings, such as templates; they must not repeat those in *own*.
    :param install: the arguments of ``pip install``; empty if the image has the agent and its unit.
    :raises ValueError: *settings* or *install* is invalid.
    """
    files = [
        {"path": GRANT_FILE, "permissions": "0600", "content": f"{token}\n"},
        {"path": SETTINGS_FILE, "permissions": "0600", "content": ini(merged(own, settings or {}))},
    ]
    start = ["systemctl", "enable", "--now", "factstore-agent"]
    commands: list[list[str]] = [start]
    if arguments := install_arguments(install):
        files.append({"path": UNIT_FILE, "permissions": "0644", "content": UNIT})
        commands = [
            ["python3", "-m", "venv", _VENV],
            [f"{_VENV}/bin/pip", "install", *arguments],
            ["systemctl", "daemon-reload"],
            start,
        ]
    return {"merge_how": _MERGING, "write_files": files, "runcmd": commands}


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
            if name in own.get(title, {}):
                raise ValueError(f"[{title}] {name} is set from the grant. Leave it out.")
            if "\n" in format_value(value) or "\r" in format_value(value):
                raise ValueError(f"the value of [{title}] {name} must be one line.")
            section[name] = value
    return sections


def install_arguments(install: str) -> list[str]:
    """Return the arguments of ``pip install``.

    :raises ValueError: a quote is not closed.
    """
    try:
        return shlex.split(install)
    except ValueError as error:
        raise ValueError(f"{install!r} cannot be split into arguments: {error}.") from None


def ini(sections: Settings) -> str:
    """Return sections as a configuration file, without the options that are None."""
    return "\n".join(
        f"[{title}]\n"
        + "".join(
            f"{name} = {format_value(value)}\n"
            for name, value in options.items()
            if value is not None
        )
        for title, options in sections.items()
    )


def format_value(value: Any) -> str:
    """Return a value as it is written in the agent's configuration."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value)


class _Dumper(yaml.SafeDumper):
    """Writes strings of several lines as literal blocks, which people can read."""


def _text_of(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text_of)
