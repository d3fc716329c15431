"""The cloud-config that makes an instance a member: the agent's settings, its grant, its unit.

Plain data in, plain data out: nothing here knows Heat or asks the service.
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
_ROOM = "/opt/factstore"
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
"""What is in ``etc/systemd``: an installed Heat has no such directory."""

_MERGING = [
    {"name": "list", "settings": ["append"]},
    {"name": "dict", "settings": ["no_replace", "recurse_list"]},
]
"""As cloud-init is to join this part to those before it: lists go on, instead of being dropped."""

Settings = Mapping[str, Mapping[str, Any]]
"""Sections of the agent's configuration: options by name."""
Given = Mapping[Any, Any]
"""The same, as templates may have it wrong."""


def cloud_config(
    own: Settings, token: str, *, settings: Given | None = None, install: str = ""
) -> dict[str, Any]:
    """The document, as cloud-init reads it.

    :param own: what the maker of the grant knows: stack, member, group, the service's URL.
    :param token: the grant.
    :param settings: further options, such as templates; they must not be among *own*.
    :param install: what ``pip install`` is told; empty if the image has the agent and its unit.
    :raises ValueError: with a sentence about what is wrong with *settings* or *install*.
    """
    files = [
        {"path": GRANT_FILE, "permissions": "0600", "content": f"{token}\n"},
        {"path": SETTINGS_FILE, "permissions": "0600", "content": ini(joined(own, settings or {}))},
    ]
    start = ["systemctl", "enable", "--now", "factstore-agent"]
    commands: list[list[str]] = [start]
    if arguments := checked_install(install):
        files.append({"path": UNIT_FILE, "permissions": "0644", "content": UNIT})
        commands = [
            ["python3", "-m", "venv", _ROOM],
            [f"{_ROOM}/bin/pip", "install", *arguments],
            ["systemctl", "daemon-reload"],
            start,
        ]
    return {"merge_how": _MERGING, "write_files": files, "runcmd": commands}


def text(document: Mapping[str, Any]) -> str:
    """A document as user data."""
    dumped: str = yaml.dump(
        dict(document), Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=1000
    )
    return f"#cloud-config\n{dumped}"


def joined(own: Settings, settings: Given) -> Settings:
    """The sections of both.

    :raises ValueError: an option is in both, or no configuration can say it.
    """
    sections = {title: dict(options) for title, options in own.items()}
    for title, options in settings.items():
        if not (isinstance(title, str) and _TITLE.fullmatch(title)):
            raise ValueError(
                f"{title!r} cannot be a section; that is a text of one line without brackets."
            )
        if not isinstance(options, Mapping):
            raise ValueError(f"[{title}] must be a map from options to values.")
        section = sections.setdefault(title, {})
        for name, value in options.items():
            if not (isinstance(name, str) and _NAME.fullmatch(name)):
                raise ValueError(f"[{title}]: {name!r} cannot be an option's name.")
            if name in own.get(title, {}):
                raise ValueError(f"[{title}] {name} is set from the grant; leave it out.")
            if "\n" in option(value) or "\r" in option(value):
                raise ValueError(f"[{title}] {name} must be one line.")
            section[name] = value
    return sections


def checked_install(install: str) -> list[str]:
    """The arguments of ``pip install``.

    :raises ValueError: a quote is not closed.
    """
    try:
        return shlex.split(install)
    except ValueError as error:
        raise ValueError(f"{install!r} cannot be taken apart as a shell does: {error}.") from None


def ini(sections: Settings) -> str:
    """Sections as a configuration file; options that are None are left out."""
    return "\n".join(
        f"[{title}]\n"
        + "".join(
            f"{name} = {option(value)}\n" for name, value in options.items() if value is not None
        )
        for title, options in sections.items()
    )


def option(value: Any) -> str:
    """A value as the agent's configuration spells it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value)


class _Dumper(yaml.SafeDumper):
    """YAML that people can read: texts of several lines stand as they are."""


def _text_of(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text_of)
