"""The cloud-config of a grant: what cloud-init reads, and what the agent does."""

from __future__ import annotations

from email import message_from_string
from pathlib import Path
from typing import Any

import pytest
import yaml

from factstore.agent.config.settings import Settings, load_settings
from factstore.heat.resources import agent_config
from factstore.heat.resources.agent_config import cloud_config, text
from tests.docs.pages import ROOT

TOKEN = "0f" * 16 + "-" + "1e" * 8 + ".s3cret"
OWN = {
    "agent": {"stack": "slurm", "member": "head", "group": "head"},
    "service": {"url": "https://cloud:8796", "grant_file": agent_config.GRANT_FILE},
}
SHIPPED = yaml.safe_load((ROOT / "etc" / "cloud-init" / "factstore-agent.yaml").read_text())


def files(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["path"]: each for each in document["write_files"]}


def settings(document: dict[str, Any], directory: Path) -> Settings:
    """What the agent makes of a document's settings."""
    file = directory / "agent.conf"
    file.write_text(files(document)[agent_config.SETTINGS_FILE]["content"])
    return load_settings(file)


def test_it_is_what_is_shipped_but_for_its_settings() -> None:
    document = yaml.safe_load(text(cloud_config(OWN, TOKEN, install="factstore[agent]")))
    shipped = files(SHIPPED)
    assert document["runcmd"] == SHIPPED["runcmd"]
    assert set(files(document)) <= set(shipped)
    unit = files(document)[agent_config.UNIT_FILE]
    assert unit["content"] == shipped[agent_config.UNIT_FILE]["content"]
    assert unit["content"] == (ROOT / "etc/systemd/factstore-agent.service").read_text()
    grant = files(document)[agent_config.GRANT_FILE]
    assert grant["permissions"] == shipped[agent_config.GRANT_FILE]["permissions"] == "0600"
    assert grant["content"] == f"{TOKEN}\n"


def test_it_begins_as_cloud_init_wants_it_and_goes_on_with_what_others_list() -> None:
    said = text(cloud_config(OWN, TOKEN))
    assert said.startswith("#cloud-config\n")
    assert yaml.safe_load(said)["merge_how"] == [
        {"name": "list", "settings": ["append"]},
        {"name": "dict", "settings": ["no_replace", "recurse_list"]},
    ]
    assert message_from_string(f"Content-Type: text/cloud-config\n\n{said}").get_payload() == said


def test_an_image_that_has_the_agent_gets_neither_program_nor_unit() -> None:
    document = cloud_config(OWN, TOKEN, install="")
    assert document["runcmd"] == [["systemctl", "enable", "--now", "factstore-agent"]]
    assert set(files(document)) == {agent_config.GRANT_FILE, agent_config.SETTINGS_FILE}


def test_pip_is_told_words_as_a_shell_takes_them() -> None:
    install = "--index-url https://packages.example/simple 'factstore[agent] >= 0.1'"
    pip = cloud_config(OWN, TOKEN, install=install)["runcmd"][1]
    assert pip[2:] == ["--index-url", "https://packages.example/simple", "factstore[agent] >= 0.1"]


def test_the_agent_reads_what_was_set(tmp_path: Path) -> None:
    more = {
        "agent": {"attributes": {"rack": 4, "ü": ["%", "#"]}, "depart_on_stop": False, "ttl": 60},
        "react": {"settle": 0.5, "run_hooks": "files"},
        "template slurm.conf": {"source": "slurm.j2", "destination": "/etc/slurm/slurm.conf"},
        "facts": {"builtin": "ip hostname"},
    }
    found = settings(cloud_config(OWN, TOKEN, settings=more), tmp_path)
    assert (found.agent.stack, found.agent.member, found.agent.group) == ("slurm", "head", "head")
    assert found.service.url == "https://cloud:8796"
    assert found.service.grant_file == Path(agent_config.GRANT_FILE)
    assert found.agent.attributes == {"rack": 4, "ü": ["%", "#"]}
    assert (found.agent.depart_on_stop, found.agent.ttl) == (False, 60)
    assert (found.react.settle, found.react.run_hooks) == (0.5, "files")
    assert found.templates["slurm.conf"].destination == Path("/etc/slurm/slurm.conf")
    assert found.facts.builtin == ("ip", "hostname")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"agent": {"stack": "other"}}, r"\[agent\] stack is set from the grant; leave it out"),
        ({"service": {"grant_file": "/g"}}, r"\[service\] grant_file is set from the grant"),
        ({"agent": {"log_level": "info\n[service]\nurl = evil"}}, r"log_level must be one line"),
        ({"agent": {"log_level": "info\rx"}}, r"log_level must be one line"),
        ({"a]\n[agent": {"x": 1}}, "cannot be a section"),
        ({" a": {"x": 1}}, "cannot be a section"),
        ({"": {"x": 1}}, "cannot be a section"),
        ({7: {"x": 1}}, "cannot be a section"),
        ({"agent": {"a = b\nc": 1}}, "cannot be an option's name"),
        ({"agent": {"Stack": "x"}}, "'Stack' cannot be an option's name"),
        ({"agent": {"": 1}}, "cannot be an option's name"),
        ({"agent": "ready"}, r"\[agent\] must be a map from options to values"),
    ],
)
def test_settings_that_no_configuration_can_say_are_refused_in_words(
    more: dict[Any, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        cloud_config(OWN, TOKEN, settings=more)


def test_an_install_with_an_open_quote_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="cannot be taken apart as a shell does: No closing"):
        cloud_config(OWN, TOKEN, install="'factstore")
