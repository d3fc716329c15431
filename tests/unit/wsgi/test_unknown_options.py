"""Options and sections in configuration files that have no effect."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from oslo_config import cfg

from factstore.conf import opts
from factstore.wsgi.unknown_options import LIBRARY_SECTIONS, unknown_options
from tests.cases import cases

GENERATOR = Path("etc/factstore/config-generator.conf")


def in_file(tmp_path: Path, text: str) -> list[str]:
    """Return what is reported about a file."""
    file = tmp_path / "factstore.conf"
    file.write_text(text)
    conf = cfg.ConfigOpts()
    conf([], project="factstore", default_config_files=[str(file)])
    return unknown_options(conf)


def sampled() -> dict[str, list[str]]:
    """Return the names of all options in the sample file, by section."""
    entries = importlib.metadata.entry_points(group="oslo.config.opts")
    lists = {entry.name: entry for entry in entries}
    found: dict[str, list[str]] = {}
    for line in GENERATOR.read_text().splitlines():
        name, _, value = (part.strip() for part in line.partition("="))
        if name == "namespace":
            for group, options in lists[value].load()():
                section = "DEFAULT" if group is None else getattr(group, "name", group)
                found.setdefault(section, []).extend(option.name for option in options)
    return found


def test_no_option_of_the_sample_file_is_reported(tmp_path: Path) -> None:
    found = sampled()
    own = {group.name if group else "DEFAULT" for group, _ in opts.list_opts()}
    assert found.keys() - own == LIBRARY_SECTIONS
    text = "".join(
        f"[{section}]\n" + "".join(f"{name} = x\n" for name in names)
        for section, names in found.items()
    )
    assert in_file(tmp_path, text) == []


def test_sections_of_libraries_and_of_projects_are_not_reported(tmp_path: Path) -> None:
    text = "".join(
        f"[{section}]\nx = 1\n"
        for section in (
            "service_user",
            "cors.console",
            "oslo_limit",
            "keystone_auth",
            "profiler",
            "mine",
        )
    )
    text += (
        "[keystone_authtoken]\nauth_section = mine\nusername = x\nany = 1\n[limits:p]\nfacts = 1\n"
    )
    assert in_file(tmp_path, text) == []


def test_misspelled_options_and_sections_are_reported_with_the_right_ones(tmp_path: Path) -> None:
    with cases() as case:
        for text, reported in (
            (
                "[api]\nwrokers = 4\n",
                "[api] wrokers is unknown: it has no effect. Did you mean workers?",
            ),
            ("[api]\nxyz = 4\n", "[api] xyz is unknown: it has no effect."),
            (
                "[DEFAULT]\nauth_strateggy = none\n",
                "[DEFAULT] auth_strateggy is unknown: it has no effect. Did you mean auth_strategy?",
            ),
            (
                "[limit]\nfacts = 4\n",
                "[limit] is unknown: its options have no effect. Did you mean [limits]?",
            ),
            (
                "[keystone-authtoken]\nx = 4\n",
                (
                    "[keystone-authtoken] is unknown: its options have no effect."
                    " Did you mean [keystone_authtoken]?"
                ),
            ),
            ("[elsewhere]\nx = 4\n", "[elsewhere] is unknown: its options have no effect."),
            (
                "[limits:p]\nfcats = 4\n",
                "[limits:p] fcats is unknown: it has no effect. Did you mean facts?",
            ),
            (
                "[API]\nworkers = 4\n",
                "[API] is unknown: its options have no effect. Did you mean [api]?",
            ),
        ):
            with case(text):
                assert in_file(tmp_path, text) == [reported]
