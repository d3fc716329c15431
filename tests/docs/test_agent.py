"""The pages about the agent describe its behaviour, and the agent accepts the shipped files."""

from __future__ import annotations

import argparse
import configparser
import dataclasses
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from factstore.agent import config_check, daemon, errors
from factstore.agent.apply import reconciler, templates
from factstore.agent.cli import make_parser
from factstore.agent.config.settings import NAMED_SECTIONS, SECTIONS, load_settings
from factstore.agent.session.connection import REQUEST_TIMEOUTS
from factstore.agent.system import run_program
from factstore.agent.system.host_facts import NAMES
from factstore.client.render import hosts
from tests.docs.pages import DOC, ROOT, code

REFERENCE = (DOC / "reference" / "agent.rst").read_text()
UNIT = ROOT / "etc" / "systemd" / "factstore-agent.service"
CLOUD_CONFIG = ROOT / "etc" / "cloud-init" / "factstore-agent.yaml"
PROGRAM = "/usr/local/bin/factstore-agent"


def part(title: str) -> str:
    """Return the part of the reference about one section of the configuration."""
    return REFERENCE.partition(f"\n``[{title}]``\n")[2].partition("\n``[")[0]


def rows(text: str) -> dict[str, str]:
    """Return the rows of a table by their first column."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        row = re.match(r" *((?:``\S+``(?:, )?)+) +(\S.*)", line)
        if row is not None:
            found[row[1].replace("`", "")] = row[2]
        elif found and line.startswith("  "):
            found[list(found)[-1]] += f" {line.strip()}"
    return found


@pytest.mark.parametrize(
    ("title", "kind"), [*SECTIONS.items(), ("template NAME", NAMED_SECTIONS["template"])]
)
def test_every_option_is_in_the_reference_with_its_default(title: str, kind: type[Any]) -> None:
    told = rows(part(title))
    assert list(told) == [each.name for each in dataclasses.fields(kind)]
    for each in dataclasses.fields(kind):
        text = told[each.name]
        if each.default is each.default_factory:
            assert text.endswith(" Required.")
        elif isinstance(each.default, bool):
            assert f"Default: ``{'yes' if each.default else 'no'}``." in text
        elif isinstance(each.default, int | float):
            assert f"Default: {each.default:g}." in text
        elif isinstance(each.default, str | Path) and each.default:
            assert f"Default: ``{each.default}``." in text
        else:
            assert "Default: " in text


def test_renderers_are_documented_like_templates() -> None:
    names = [
        [each.name for each in dataclasses.fields(NAMED_SECTIONS[kind])] for kind in NAMED_SECTIONS
    ]
    assert names[0][1:] == names[1][1:-1]
    assert (names[0][0], names[1][0], names[1][-1]) == ("source", "renderer", "reads")


def test_every_command_status_signal_fact_filter_and_variable_is_in_the_reference() -> None:
    (actions,) = [a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction)]
    first = {
        name.split()[0] for name in re.findall(r"^``([a-z][^`]*)`` ", part_of("Commands"), re.M)
    }
    assert first == set(actions.choices)
    statuses = [int(number) for number in re.findall(r"^(\d)  ", part_of("Commands"), re.M)]
    assert statuses == [
        errors.EXIT_OK,
        errors.EXIT_FAILED,
        errors.EXIT_MISCONFIGURED,
        errors.EXIT_SUPERSEDED,
        errors.EXIT_UNAVAILABLE,
        errors.EXIT_TURN_LOST,
    ]
    signals = {number.name for number in daemon.SIGNALS}
    assert signals - {"SIGINT"} == set(re.findall(r"^``(SIG\w+)``", part_of("Commands"), re.M))
    built_in = part_of("Facts").partition("Built in\n")[2]
    assert list(rows(built_in)) == sorted(NAMES)
    filters = templates.make_environment(ROOT).filters.keys()
    plain = jinja2.Environment(autoescape=True).filters.keys()
    table = part_of("Templates").partition("there are:")[2]
    assert set(rows(table)) == filters - plain
    source = Path(reconciler.__file__).read_text()
    variables = set(re.findall(r'"(FACTSTORE_\w+)": ', source))
    assert set(re.findall(r"``(FACTSTORE_\w+)``", part_of("Hooks"))) == variables


def test_bash_completes_every_command_and_option() -> None:
    file = ROOT / "etc" / "bash-completion" / "factstore-agent"
    (subparsers,) = (each for each in make_parser()._actions if each.dest == "command")
    assert subparsers.choices is not None
    parsers = {"": make_parser(), **subparsers.choices}
    script = f"""
        . {shlex.quote(str(file))}
        for command in "" {shlex.join(subparsers.choices)}; do
            COMP_WORDS=(factstore-agent $command "") COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
            _factstore_agent
            echo "$command ${{COMPREPLY[*]}}"
        done
    """
    done = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True)
    offered = {
        line.partition(" ")[0]: set(line.partition(" ")[2].split())
        for line in done.stdout.splitlines()
    }
    assert offered.pop("render") == set(), "it completes the names of the files"
    assert offered.pop("") == {*subparsers.choices, *_options(parsers.pop(""))}
    assert offered == {name: _options(parsers[name]) for name in offered}


def _options(parser: argparse.ArgumentParser) -> set[str]:
    """Return the long options of a command."""
    return {
        option
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--")
    }


def part_of(title: str) -> str:
    """Return a section of the reference."""
    found = REFERENCE.partition(f"\n{title}\n===")[2]
    return re.split(r"\n[A-Z][a-z]+\n=+\n", found)[0]


def test_the_configuration_of_the_guide_is_one_that_the_agent_takes(tmp_path: Path) -> None:
    text, second, proxy = code("how-to/agent.rst", "ini")
    assert configured(tmp_path, f"[agent]\nstack = s\n{proxy}").templates["haproxy.cfg"].check
    hooks = configured(
        tmp_path, f"{second}\n[service]\nurl = https://controller:8796\n"
    ).react.hooks
    assert hooks == Path("/etc/factstore/NAME/hooks.d")
    (template,) = code("how-to/agent.rst", "jinja")
    settings = configured(tmp_path, text)
    (tmp_path / "templates").mkdir()
    source = tmp_path / "templates" / "slurm.conf.j2"
    source.write_text(f"{template}\n")
    assert settings.templates["slurm.conf"].source == source
    facts = {"nodes": {"head": {"ip": "10.0.0.5"}, "c1": {"ip": "10.0.0.6", "cpus": 8}}}
    document = {"stack": "slurm", "facts": facts, "members": {}}
    assert templates.render(source, document) == (
        "SlurmctldHost=head(10.0.0.5)\nNodeName=c1 NodeAddr=10.0.0.6 CPUs=8\n"
    )
    for evil in ({"ip": "10.0.0.6\nInclude x", "cpus": 8}, {"ip": "x y", "cpus": 8}):
        facts["nodes"]["c1"] = evil
        with pytest.raises(templates.TemplateError):
            templates.render(source, document)
    (told,) = code("how-to/agent.rst", "json")
    assert json.loads(told) == {"cpus": 8, "services/munge": "started"}


def configured(directory: Path, text: str) -> Any:
    file = directory / "agent.conf"
    file.write_text(text)
    return load_settings(file)


# Shipped files


@pytest.fixture
def service() -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNIT)
    return parser["Service"]


def test_the_configuration_and_the_commands_about_turns_are_those_that_the_agent_takes(
    tmp_path: Path,
) -> None:
    (text,) = code("how-to/turns.rst", "ini")
    assert configured(tmp_path, f"[agent]\nstack = s\n{text}").react.max_parallel == 5
    commands = [
        shlex.split(block)[1:]
        for block in code("how-to/turns.rst", "shell")
        if block.startswith("factstore-agent ")
    ]
    parsed = [make_parser().parse_args(command) for command in commands]
    assert [each.command for each in parsed] == ["lock", "lock", "lock", "rank"]
    assert parsed[0].argv == ["/usr/local/bin/backup", "--all"]
    assert [each.leader for each in parsed[:3]] == [False, False, True]


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    assert analyze is not None, "install systemd: tools/system-packages test"
    text = UNIT.read_text()
    assert PROGRAM in text
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace(PROGRAM, sys.executable))
    done = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_unit_starts_the_agent_and_gives_it_time_to_stop(
    service: configparser.SectionProxy,
) -> None:
    assert service["ExecStart"] == f"{PROGRAM} run"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    stopping = run_program.GRACE_SECONDS + daemon.STOP_SECONDS + REQUEST_TIMEOUTS[1]
    assert service.getint("TimeoutStopSec") > stopping
    never = {errors.EXIT_MISCONFIGURED, errors.EXIT_SUPERSEDED}
    assert set(map(int, service["RestartPreventExitStatus"].split())) == never
    default = SECTIONS["agent"].__dataclass_fields__["state_dir"].default
    assert f"/var/lib/{service['StateDirectory']}" == str(default)


def test_the_cloud_config_is_one_that_the_agent_takes(tmp_path: Path) -> None:
    text = CLOUD_CONFIG.read_text()
    assert text.startswith("#cloud-config\n")
    document = yaml.safe_load(text)
    assert document.keys() == {"write_files", "runcmd"}
    files = {each["path"]: each for each in document["write_files"]}
    assert files.pop("/etc/systemd/system/factstore-agent.service")["content"] == UNIT.read_text()
    assert files["/etc/factstore/grant"]["permissions"] == "0600"
    for path, each in files.items():
        file = tmp_path / Path(path).relative_to("/etc/factstore")
        file.parent.mkdir(exist_ok=True)
        content = each["content"].replace("/etc/factstore", str(tmp_path))
        content = content.replace("GRANT", "id.secret").replace("URL", "https://controller:8796")
        content = content.replace("= /etc/hosts", f"= {tmp_path}/hosts")
        content = content.replace("[agent]", f"[agent]\nstate_dir = {tmp_path}/state")
        file.write_text(content.replace("[react]", f"[react]\nhooks = {tmp_path}/hooks.d"))
        file.chmod(int(each.get("permissions", "0644"), 8))
    settings = load_settings(tmp_path / "agent.conf")
    assert list(config_check.find_problems(settings, {})) == []
    source = settings.templates["hosts"].source
    facts = {"nodes": {"c1": {"ip": "10.0.0.6"}, "c2": {"ip": "10.0.0.7 evil"}, "c3": "odd"}}
    rendered = templates.render(source, {"facts": facts})
    assert rendered == "127.0.0.1 localhost\n::1 localhost\n10.0.0.6 c1\n"
    assert hosts({"facts": facts}) == "10.0.0.6\tc1\n"
    assert templates.render(source, {"facts": {}}) == "127.0.0.1 localhost\n::1 localhost\n"
    for script in ("facts.d/hardware", "hooks.d/10-log"):
        checked = subprocess.run(["sh", "-n", tmp_path / script], check=False)
        assert checked.returncode == 0
