"""The configuration: one INI file, checked to the last option.

Every mistake is told, not only the first, each with the section and the option it is in.  An option or
a section that nobody knows is a mistake.  An option is a field of its section's class, with the
function that reads its text beside its type.  Nothing here opens what the options name.
"""

from __future__ import annotations

import configparser
import dataclasses
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from factstore.agent.config import option_types

DEFAULT_FILE = "/etc/factstore/agent.conf"
FILE_VARIABLE = "FACTSTORE_AGENT_CONFIG"


class SettingsError(Exception):
    """The configuration cannot be used.

    :ivar mistakes: a sentence each.
    """

    def __init__(self, *mistakes: str) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


def _short_hostname() -> str:
    return socket.gethostname().partition(".")[0]


@dataclass(frozen=True, slots=True)
class Agent:
    """``[agent]``: who this is."""

    stack: Annotated[str, option_types.text]
    member: Annotated[str, option_types.text] = ""
    group: Annotated[str, option_types.text] = "node"
    ttl: Annotated[int, option_types.whole(5, 24 * 3600)] = 30
    attributes: Annotated[Mapping[str, Any], option_types.json_object] = field(default_factory=dict)
    ready: Annotated[str, option_types.one_of("applied", "manual")] = "applied"
    state_dir: Annotated[Path, option_types.absolute] = Path("/var/lib/factstore-agent")
    depart_on_stop: Annotated[bool, option_types.yes_or_no] = True
    end_with_stack: Annotated[bool, option_types.yes_or_no] = False
    log_level: Annotated[str, option_types.one_of("debug", "info", "warning", "error")] = "info"


@dataclass(frozen=True, slots=True)
class Service:
    """``[service]``: where factstore is, and the grant to show there."""

    url: Annotated[str, option_types.url] = ""
    grant_file: Annotated[Path | None, option_types.absolute] = None
    cacert: Annotated[Path | None, option_types.absolute] = None


@dataclass(frozen=True, slots=True)
class Facts:
    """``[facts]``: what is told."""

    directory: Annotated[Path, option_types.absolute] = Path("/etc/factstore/facts.d")
    builtin: Annotated[
        tuple[str, ...], option_types.some_of("addresses", "boot_id", "hostname", "ip", "os")
    ] = ("addresses", "boot_id", "hostname", "ip", "os")
    interval: Annotated[float, option_types.number(1, 86400)] = 60.0
    timeout: Annotated[float, option_types.number(0.1, 3600)] = 30.0


@dataclass(frozen=True, slots=True)
class React:
    """``[react]``: when to act on a change, and what to run."""

    settle: Annotated[float, option_types.number(0, 5)] = 1.0
    max_settle: Annotated[float, option_types.number(0, 50)] = 10.0
    splay: Annotated[float, option_types.number(0, 3600)] = 0.0
    hooks: Annotated[Path, option_types.absolute] = Path("/etc/factstore/hooks.d")
    run_hooks: Annotated[str, option_types.one_of("context", "files")] = "context"
    hook_timeout: Annotated[float, option_types.number(0.1, 86400)] = 3600.0
    retry_first: Annotated[float, option_types.number(0.1, 3600)] = 5.0
    retry_longest: Annotated[float, option_types.number(0.1, 86400)] = 300.0


@dataclass(frozen=True, slots=True)
class Template:
    """``[template NAME]``: a file that a Jinja2 template makes of the context."""

    source: Annotated[Path, option_types.path]
    destination: Annotated[Path, option_types.absolute]
    owner: Annotated[str | None, option_types.text] = None
    group: Annotated[str | None, option_types.text] = None
    mode: Annotated[int | None, option_types.mode] = None


@dataclass(frozen=True, slots=True)
class Render:
    """``[render NAME]``: a file that one of the client's renderers makes of the context."""

    renderer: Annotated[str, option_types.renderer]
    destination: Annotated[Path, option_types.absolute]
    owner: Annotated[str | None, option_types.text] = None
    group: Annotated[str | None, option_types.text] = None
    mode: Annotated[int | None, option_types.mode] = None


SECTIONS: Mapping[str, type[Any]] = {
    "agent": Agent,
    "service": Service,
    "facts": Facts,
    "react": React,
}
NAMED: Mapping[str, type[Any]] = {"template": Template, "render": Render}
KEYSTONE = "keystone"
"""The section whose options are those of keystoneauth's plugins."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration.

    :param file: where it was read from.
    :param keystone: options of a keystoneauth plugin; empty without one.
    :param templates: by name; *renders* likewise.
    """

    file: Path
    agent: Agent
    service: Service
    facts: Facts
    react: React
    keystone: Mapping[str, str]
    templates: Mapping[str, Template]
    renders: Mapping[str, Render]


def read(file: Path, hostname: Callable[[], str] = _short_hostname) -> Settings:
    """The settings that a file holds.

    :raises SettingsError: it cannot be read, or holds mistakes.
    """
    parser = configparser.ConfigParser(interpolation=None, default_section="\0none")
    try:
        with file.open(encoding="utf-8") as text:
            parser.read_file(text)
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}.") from error
    except (configparser.Error, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: {' '.join(str(error).split())}.") from error
    mistakes: list[str] = []
    single = {
        name: _section(kind, name, parser[name] if parser.has_section(name) else {}, mistakes)
        for name, kind in SECTIONS.items()
    }
    named: dict[str, dict[str, Any]] = {kind: {} for kind in NAMED}
    for title in parser.sections():
        kind, _, name = title.partition(" ")
        if kind in NAMED and name.strip():
            named[kind][name.strip()] = _section(NAMED[kind], title, parser[title], mistakes)
        elif title not in SECTIONS and title != KEYSTONE:
            mistakes.append(f"[{title}]: there is no such section.")
    if not mistakes:
        mistakes += _contradictions(single, named)
    if mistakes:
        raise SettingsError(*(f"{file}: {mistake}" for mistake in mistakes))
    agent: Agent = single["agent"]
    if not agent.member:
        agent = dataclasses.replace(agent, member=hostname())
    return Settings(
        file=file,
        agent=agent,
        service=single["service"],
        facts=single["facts"],
        react=single["react"],
        keystone=dict(parser[KEYSTONE]) if parser.has_section(KEYSTONE) else {},
        templates={
            name: dataclasses.replace(each, source=file.parent / "templates" / each.source)
            for name, each in named["template"].items()
        },
        renders=named["render"],
    )


def _section(kind: type[Any], title: str, given: Mapping[str, str], mistakes: list[str]) -> Any:
    """A section's options; None if there is a mistake in them."""
    options = {each.name: each for each in dataclasses.fields(kind)}
    parsers = get_type_hints(kind, include_extras=True)
    before = len(mistakes)
    for name in given.keys() - options.keys():
        mistakes.append(f"[{title}] {name}: there is no such option.")
    found = {}
    for name, each in options.items():
        if name not in given:
            if each.default is each.default_factory:  # there is neither
                mistakes.append(f"[{title}] {name}: it must be given.")
            continue
        try:
            found[name] = parsers[name].__metadata__[0](given[name])
        except ValueError as error:
            mistakes.append(f"[{title}] {name}: {error}")
    return kind(**found) if len(mistakes) == before else None


def _contradictions(single: Mapping[str, Any], named: Mapping[str, Mapping[str, Any]]) -> list[str]:
    mistakes = []
    react: React = single["react"]
    if react.max_settle < react.settle:
        mistakes.append("[react] max_settle: it must not be below settle.")
    if react.retry_longest < react.retry_first:
        mistakes.append("[react] retry_longest: it must not be below retry_first.")
    written: dict[Path, str] = {}
    for kind, sections in named.items():
        for name, each in sections.items():
            other = written.setdefault(each.destination, f"[{kind} {name}]")
            if other != f"[{kind} {name}]":
                mistakes.append(f"[{kind} {name}] destination: {other} writes this file too.")
    return mistakes
