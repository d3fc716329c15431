"""Finds options and sections in the configuration files that no part of the service reads.

oslo.config ignores them, so a misspelled limit would be no limit.  Libraries are not imported for that:
their sections are known by name, and the options in them are not checked.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from pathlib import Path

from oslo_config import cfg

from factstore.conf import limits, opts

LIBRARY_SECTIONS = frozenset(
    {"cors", "healthcheck", "keystone_authtoken", "oslo_middleware", "oslo_policy"}
)
"""The sections of libraries in the sample file."""

# Deployment tools write these sections into the files of all services.
_USUAL = ("audit", "cors.", "keystone_", "oslo_", "profiler", "service_user")
_SIMILAR = 0.8


def unknown_options(conf: cfg.ConfigOpts) -> list[str]:
    """Return a sentence for each option and section in the files that has no effect.

    :raises oslo_config.cfg.Error: a file cannot be parsed.
    """
    own: dict[str, set[str]] = {
        group.name if group else "DEFAULT": {name for option in options for name in _names(option)}
        for group, options in opts.list_opts()
    }
    libraries = {*LIBRARY_SECTIONS, *_named_sections(conf)}
    found = []
    for section, names in sorted(options_in(conf).items()):
        group = limits.LIMITS_GROUP.name if section.startswith(limits.PREFIX) else section
        if group not in own:
            if group not in libraries and not group.startswith(_USUAL):
                sections = {f"[{name}]" for name in (*own, *LIBRARY_SECTIONS)}
                advice = _advice(f"[{section}]", sections)
                found.append(f"[{section}] is unknown: its options have no effect.{advice}")
            continue
        for name in sorted(names - own[group]):
            advice = _advice(name, own[group])
            if advice or group != "DEFAULT":  # [DEFAULT] also has options of libraries
                found.append(f"[{section}] {name} is unknown: it has no effect.{advice}")
    return found


def options_in(conf: cfg.ConfigOpts) -> dict[str, set[str]]:
    """Return the names of the options in the configuration files, by section."""
    found: dict[str, set[str]] = {}
    for section, names in _parsed(conf):
        known = found.setdefault(section, set())
        known.update(name.replace("-", "_") for name in names)
    return found


def _parsed(conf: cfg.ConfigOpts) -> Iterator[tuple[str, dict[str, list[str]]]]:
    files = [Path(name) for name in conf.config_file]
    files += [each for name in conf.config_dir for each in sorted(Path(name).glob("*.conf"))]
    for file in files:
        sections: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(str(file), sections).parse()
        yield from sections.items()


def _named_sections(conf: cfg.ConfigOpts) -> set[str]:
    """Return the sections that ``auth_section`` names, in which keystoneauth finds its options."""
    return {
        value.strip() for _, options in _parsed(conf) for value in options.get("auth_section", ())
    }


def _names(option: cfg.Opt) -> Iterator[str]:
    yield option.dest
    yield from (str(old.name).replace("-", "_") for old in option.deprecated_opts if old.name)


def _advice(name: str, known: Collection[str]) -> str:
    close = [each for each in known if each.lower() == name.lower()]
    close = close or difflib.get_close_matches(name, sorted(known), 1, _SIMILAR)
    return f" Did you mean {close[0]}?" if close else ""
