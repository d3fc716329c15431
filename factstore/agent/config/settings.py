"""The agent's configuration: one INI file, of which every section and option is checked.

Every error is reported, not only the first, each with its section and option.  Unknown sections and
options are errors.  An option is a field of its section's class, annotated with the function that
parses its text.  The files that options name are not opened here.
"""

from __future__ import annotations

import configparser
import dataclasses
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Optional, get_type_hints

from factstore.agent.config import option_types as types
from factstore.agent.config.reads import Reads
from factstore.agent.system.host_facts import NAMES
from factstore.client.render import FOLDERS

DEFAULT_FILE = "/etc/factstore/agent.conf"
FILE_VARIABLE = "FACTSTORE_AGENT_CONFIG"


class SettingsError(Exception):
    """The configuration file cannot be used.

    :ivar errors: one sentence for each error in it.
    """

    def __init__(self, *errors: str) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


@dataclass(frozen=True)
class AgentOptions:
    """``[agent]``: the member, its lifetime and its state directory."""

    stack: Annotated[str, types.name]
    member: Annotated[str, types.name] = ""
    group: Annotated[str, types.name] = "node"
    ttl: Annotated[int, types.integer(5, 24 * 3600)] = 30
    instance_id: Annotated[str, types.string] = ""
    attributes: Annotated[Mapping[str, Any], types.json_object] = field(default_factory=dict)
    ready: Annotated[str, types.choice("applied", "manual")] = "applied"
    state_dir: Annotated[Path, types.absolute_path] = Path("/var/lib/factstore-agent")
    depart_on_stop: Annotated[bool, types.boolean] = True
    end_with_stack: Annotated[bool, types.boolean] = False
    log_level: Annotated[str, types.choice("debug", "info", "warning", "error")] = "info"


@dataclass(frozen=True)
class ServiceOptions:
    """``[service]``: the URL of factstore, the grant to authenticate with, and the way there."""

    url: Annotated[str, types.url] = ""
    grant_file: Annotated[Optional[Path], types.absolute_path] = None
    cacert: Annotated[Optional[Path], types.absolute_path] = None
    proxy: Annotated[str, types.proxy] = ""


@dataclass(frozen=True)
class FactsOptions:
    """``[facts]``: the sources of the facts that are published."""

    directory: Annotated[Path, types.absolute_path] = Path("/etc/factstore/facts.d")
    builtin: Annotated[tuple[str, ...], types.choices(*NAMES)] = NAMES
    interval: Annotated[float, types.seconds(1, 86400)] = 60.0
    timeout: Annotated[float, types.seconds(0.1, 3600)] = 30.0


@dataclass(frozen=True)
class ReactOptions:
    """``[react]``: when a changed context is applied, and which hooks run."""

    settle: Annotated[float, types.seconds(0, 5)] = 1.0
    max_settle: Annotated[float, types.seconds(0, 50)] = 10.0
    splay: Annotated[float, types.seconds(0, 3600)] = 0.0
    rejoin_grace: Annotated[float, types.seconds(0, 3600)] = 60.0
    hooks: Annotated[Path, types.absolute_path] = Path("/etc/factstore/hooks.d")
    run_hooks: Annotated[str, types.choice("context", "files")] = "context"
    hook_timeout: Annotated[float, types.seconds(0.1, 86400)] = 3600.0
    retry_first: Annotated[float, types.seconds(0.1, 3600)] = 5.0
    retry_longest: Annotated[float, types.seconds(0.1, 86400)] = 300.0
    max_parallel: Annotated[Optional[int], types.integer(1, 10_000)] = None
    reads: Annotated[Optional[Reads], types.reads] = None
    full_render: Annotated[float, types.seconds(0, 86400)] = 300.0


@dataclass(frozen=True)
class DeployOptions:
    """``[deploy]``: the hooks that deploy configurations, and those that actions may run, if any."""

    hooks: Annotated[Optional[Path], types.absolute_path] = None
    actions: Annotated[tuple[str, ...], types.hook_names] = ()


@dataclass(frozen=True)
class FileOptions:
    """A rendered file: its place, its check and its command."""

    destination: Annotated[Path, types.absolute_path]
    owner: Annotated[Optional[str], types.string] = None
    group: Annotated[Optional[str], types.string] = None
    mode: Annotated[Optional[int], types.file_mode] = None
    check: Annotated[Optional[str], types.check] = None
    command: Annotated[Optional[str], types.command] = None
    when_changed: Annotated[bool, types.boolean] = True
    timeout: Annotated[float, types.seconds(0.1, 86400)] = 60.0
    settle: Annotated[float, types.seconds(0, 3600)] = 0.0
    max_settle: Annotated[Optional[float], types.seconds(0, 86400)] = None

    @property
    def longest_settle(self) -> float:
        """The longest time to wait for a quiet file, in seconds."""
        return 4 * self.settle if self.max_settle is None else self.max_settle


# A dataclass has the fields of its last base first, and required fields must precede the others.
@dataclass(frozen=True)
class _Source:
    source: Annotated[Path, types.path]


@dataclass(frozen=True)
class _Renderer:
    renderer: Annotated[str, types.renderer]


@dataclass(frozen=True)
class TemplateOptions(FileOptions, _Source):
    """``[template NAME]``: a file rendered from the context by a Jinja2 template."""


@dataclass(frozen=True)
class RenderOptions(FileOptions, _Renderer):
    """``[render NAME]``: a file or folder rendered by one of the client's renderers."""

    reads: Annotated[Optional[Reads], types.reads] = None


SECTIONS: Mapping[str, type[Any]] = {
    "agent": AgentOptions,
    "service": ServiceOptions,
    "facts": FactsOptions,
    "react": ReactOptions,
    "deploy": DeployOptions,
}
NAMED_SECTIONS: Mapping[str, type[Any]] = {"template": TemplateOptions, "render": RenderOptions}
KEYSTONE = "keystone"
"""The section with the options of a keystoneauth plugin."""


@dataclass(frozen=True)
class Settings:
    """The whole configuration.

    :param file: the file that was read.
    :param keystone: options of a keystoneauth plugin; empty without that section.
    :param templates: by the name of the section.
    :param renders: by the name of the section.
    """

    file: Path
    agent: AgentOptions
    service: ServiceOptions
    facts: FactsOptions
    react: ReactOptions
    deploy: DeployOptions
    keystone: Mapping[str, str]
    templates: Mapping[str, TemplateOptions]
    renders: Mapping[str, RenderOptions]


def load_settings(file: Path) -> Settings:
    """Return the settings in a file.  The member's name is empty if the file does not contain one.

    :raises SettingsError: the file cannot be read or contains errors.
    """
    parser = configparser.ConfigParser(interpolation=None, default_section="\0none")
    try:
        text = file.read_bytes().decode()
        if text.startswith("\ufeff"):
            reason = "it begins with a byte order mark: save it as UTF-8 without one"
            raise SettingsError(f"{file}: {reason}.")
        parser.read_file(io.StringIO(text, newline=None), source=str(file))
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}.") from error
    except (configparser.Error, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: {' '.join(str(error).split())}.") from error
    errors: list[str] = []
    sections = {
        name: _parse_section(kind, name, parser[name] if parser.has_section(name) else {}, errors)
        for name, kind in SECTIONS.items()
    }
    named: dict[str, dict[str, Any]] = {kind: {} for kind in NAMED_SECTIONS}
    for title in parser.sections():
        kind, _, name = title.partition(" ")
        if kind in NAMED_SECTIONS and name.strip():
            options = _parse_section(NAMED_SECTIONS[kind], title, parser[title], errors)
            named[kind][name.strip()] = options
        elif title not in SECTIONS and title != KEYSTONE:
            errors.append(f"[{title}]: this section is unknown.")
    if not errors:
        errors += _contradictions(sections, named)
    if errors:
        raise SettingsError(*(f"{file}: {error}" for error in errors))
    return Settings(
        file=file,
        agent=sections["agent"],
        service=sections["service"],
        facts=sections["facts"],
        react=sections["react"],
        deploy=sections["deploy"],
        keystone=dict(parser[KEYSTONE]) if parser.has_section(KEYSTONE) else {},
        templates={
            name: dataclasses.replace(options, source=file.parent / "templates" / options.source)
            for name, options in named["template"].items()
        },
        renders=named["render"],
    )


def _parse_section(kind: type[Any], title: str, texts: Mapping[str, str], errors: list[str]) -> Any:
    """Return the options of a section, or None after adding its errors to *errors*."""
    fields = {option.name: option for option in dataclasses.fields(kind)}
    hints = get_type_hints(kind, include_extras=True)
    errors_before = len(errors)
    for name in texts.keys() - fields.keys():
        errors.append(f"[{title}] {name}: this option is unknown.")
    values = {}
    for name, option in fields.items():
        if name not in texts:
            if option.default is option.default_factory:  # both are missing
                errors.append(f"[{title}] {name}: this option is required.")
            continue
        try:
            values[name] = hints[name].__metadata__[0](texts[name])
        except ValueError as error:
            errors.append(f"[{title}] {name}: {error}")
    return kind(**values) if len(errors) == errors_before else None


def _contradictions(
    sections: Mapping[str, Any], named: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return the errors that concern several options."""
    errors = []
    react: ReactOptions = sections["react"]
    if react.max_settle < react.settle:
        errors.append("[react] max_settle: the value must not be less than settle.")
    if react.retry_longest < react.retry_first:
        errors.append("[react] retry_longest: the value must not be less than retry_first.")
    deploy: DeployOptions = sections["deploy"]
    if deploy.actions and deploy.hooks is None:
        errors.append(
            "[deploy] actions: the section has no hooks, from which actions could run some."
        )
    section_of: dict[Path, str] = {}
    for kind, by_name in named.items():
        for name, options in by_name.items():
            section = f"[{kind} {name}]"
            other = section_of.setdefault(options.destination, section)
            if other != section:
                errors.append(f"{section} destination: {other} writes the same file.")
            errors += [f"{section} {error}" for error in _file_contradictions(options)]
    return errors


def _file_contradictions(options: FileOptions) -> Iterator[str]:
    if options.longest_settle < options.settle:
        yield "max_settle: the value must not be less than settle."
    if options.command is None and not options.when_changed:
        yield "when_changed: the section has no command."
    if isinstance(options, RenderOptions) and options.renderer in FOLDERS and options.check:
        yield f"check: the renderer {options.renderer} writes a folder, and only files can be checked."
