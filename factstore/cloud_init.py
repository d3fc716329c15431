"""The files and commands that make an instance a member at its first boot, for cloud-init.

Heat's resources put them into user data, and the service into Nova's vendor data.  The instance needs
only what each cloud image has: Python's standard library and systemd.  It downloads the agent as one
file, whose digest the user data contain.

The module is pure and imports no other room.  A text that was handed out must stay as it was: changes
here reach new instances only, so :mod:`factstore.heat` stores what it has handed out.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

AGENT_FILE = "/usr/local/bin/factstore-agent"
GRANT_FILE = "/etc/factstore/grant"
SETTINGS_FILE = "/etc/factstore/agent.conf"
CACERT_FILE = "/etc/factstore/ca.pem"
FETCH_FILE = "/etc/factstore/fetch_agent.py"
UNIT_FILE = "/etc/systemd/system/factstore-agent.service"

_SHA256 = re.compile("[0-9a-f]{64}")

UNIT = """\
[Unit]
Description=factstore agent
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
NotifyAccess=main
ExecStart=/usr/local/bin/factstore-agent run
# The agent restarts itself with the current program and configuration, as the same member.
# With a restart of the unit, the member would depart first.
ExecReload=/bin/kill -HUP $MAINPID
# The agent ends a running hook itself. Services that hooks have started go on.
KillMode=process
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
"""A copy of the unit in ``etc/systemd``, a directory that an installed package does not have."""

_FETCH = """\
# Download factstore-agent and check its digest. While the network comes up, try again.
import hashlib
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

URL = {url}
SHA256 = {sha256}
TARGET = {target}
CACERT = {cacert}  # None: the certificates of the system
PROXY = {proxy}  # None: the one in the environment; "none": no proxy
SECONDS = 600


def download():
    context = ssl.create_default_context(cafile=CACERT)
    # Accept what private CAs issue, as the agent and curl do: Python 3.13 is stricter.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= 0x80000  # an intermediate CA in CACERT is enough
    handlers = [urllib.request.HTTPSHandler(context=context)]
    if PROXY:
        proxies = {{}} if PROXY == "none" else {{"http": PROXY, "https": PROXY}}
        handlers.append(urllib.request.ProxyHandler(proxies))
    with urllib.request.build_opener(*handlers).open(URL, timeout=30) as answer:
        content = answer.read()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise ValueError("its sha256 is %s, and the user data name %s" % (found, SHA256))
    os.makedirs(os.path.dirname(TARGET), exist_ok=True)
    with open(TARGET + ".new", "wb") as file:
        file.write(content)
    os.chmod(TARGET + ".new", 0o755)
    os.replace(TARGET + ".new", TARGET)


def reason(error):
    if isinstance(error, urllib.error.HTTPError):
        try:
            return "%s: %s" % (error, json.loads(error.read().decode())["detail"])
        except Exception:
            pass
    return str(error) or type(error).__name__


def report(text, console=False):
    print("factstore: " + text, flush=True)
    if console:
        try:
            with open("/dev/console", "w") as file:
                file.write("factstore: " + text + "\\n")
        except OSError:
            pass


end, pause, last = time.monotonic() + SECONDS, 1, ""
while True:
    try:
        download()
        break
    except Exception as error:
        why = reason(error)
    if time.monotonic() > end:
        report("the agent was not installed, so this instance is not a member of its stack. "
               "%s cannot be downloaded: %s. When this is mended, run 'python3 %s', then "
               "'systemctl daemon-reload' and 'systemctl enable --now factstore-agent'."
               % (URL, why, os.path.abspath(__file__)), console=True)
        sys.exit(1)
    if why != last:
        report("%s cannot be downloaded yet: %s" % (URL, why))
    last, pause = why, min(pause * 2, 30)
    time.sleep(pause)
"""

Settings = Mapping[str, Mapping[str, Any]]
"""Options by section of the agent's configuration."""


@dataclass(frozen=True)
class Download:
    """The place of the agent's file, and its digest."""

    url: str
    sha256: str

    @classmethod
    def of(cls, text: str) -> Download:
        """Return the place and the digest in ``URL#sha256=DIGEST``.

        :raises ValueError: the URL or its digest is not valid.
        """
        url, _, digest = text.partition("#sha256=")
        if not re.fullmatch(r"https?://[^\s#]+", url):
            raise ValueError(f"{text!r} is not the URL of an agent: it must begin with https://.")
        if "@" in urlsplit(url).netloc:
            raise ValueError(
                "the URL of the agent contains a user or a password. The file must be readable without."
            )
        if not _SHA256.fullmatch(digest):
            raise ValueError(
                f"{text!r} must end with #sha256= and the digest of the file, 64 lower-case "
                "hexadecimal digits, which 'sha256sum FILE' prints."
            )
        return cls(url, digest)


@dataclass(frozen=True)
class File:
    """A file to write."""

    path: str
    content: str
    mode: int = 0o644


@dataclass(frozen=True)
class FirstBoot:
    """The steps of an instance at its first boot: write files, then run commands."""

    files: Sequence[File]
    commands: Sequence[Sequence[str]]

    def script(self) -> str:
        """Return a shell script that does it, and stops at the first error."""
        lines = ["#!/bin/sh", "set -eu", "umask 077"]
        for directory in sorted({file.path.rpartition("/")[0] for file in self.files}):
            lines.append(f"mkdir -p {directory}")
            lines.append(f"chmod 0755 {directory}")
        for file in self.files:
            lines.append(f"printf %s {shlex.quote(file.content)} >{file.path}")
            lines.append(f"chmod {file.mode:04o} {file.path}")
        lines.extend(map(shlex.join, self.commands))
        return "\n".join([*lines, ""])


def first_boot(
    settings: Settings, token: str, *, download: Download | None, cacert: str | None = None
) -> FirstBoot:
    """Return the files and the commands.

    :param settings: the agent's configuration.
    :param token: the grant.
    :param download: the agent to download; None if the image contains it and its unit.
    :param cacert: certificates for the service's TLS, in PEM; None for the system's.
    """
    service = {"grant_file": GRANT_FILE, **({"cacert": CACERT_FILE} if cacert else {})}
    whole = {**settings, "service": {**settings.get("service", {}), **service}}
    files = [File(GRANT_FILE, f"{token}\n", 0o600), File(SETTINGS_FILE, ini(whole), 0o600)]
    commands = [["systemctl", "enable", "--now", "factstore-agent"]]
    if cacert:
        files.append(File(CACERT_FILE, f"{cacert.strip()}\n"))
    if download is not None:
        proxy = whole["service"].get("proxy")
        program = fetch_program(download, cacert=bool(cacert), proxy=proxy)
        # The URL of a proxy may contain a password.
        files.append(File(FETCH_FILE, program, 0o600 if proxy else 0o644))
        files.append(File(UNIT_FILE, UNIT))
        commands[:0] = [["python3", FETCH_FILE], ["systemctl", "daemon-reload"]]
    return FirstBoot(files, commands)


def fetch_program(download: Download, *, cacert: bool = False, proxy: str | None = None) -> str:
    """Return the Python program that downloads the agent, for Python 3.6 and newer."""
    return _FETCH.format(
        url=json.dumps(download.url),
        sha256=json.dumps(download.sha256),
        target=json.dumps(AGENT_FILE),
        cacert=json.dumps(CACERT_FILE) if cacert else None,
        proxy=json.dumps(proxy) if proxy else None,
    )


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
