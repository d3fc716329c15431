"""The cloud-config of a grant, as cloud-init and the agent read it."""

from __future__ import annotations

from email import message_from_string
from pathlib import Path
from typing import Any

import pytest
import yaml

from factstore import cloud_init
from factstore.agent.config.settings import Settings, load_settings
from factstore.cloud_init import Download
from factstore.heat.resources.agent_config import cloud_config, user_data
from tests.docs.pages import ROOT

TOKEN = "0f" * 16 + "-" + "1e" * 8 + ".s3cret"
OWN = {
    "agent": {"stack": "slurm", "member": "head", "group": "head"},
    "service": {"url": "https://cloud:8796"},
}
SHIPPED = yaml.safe_load((ROOT / "etc" / "cloud-init" / "factstore-agent.yaml").read_text())


def files(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["path"]: each for each in document["write_files"]}


def settings(document: dict[str, Any], directory: Path) -> Settings:
    """Return the settings that the agent reads from a document."""
    file = directory / "agent.conf"
    file.write_text(files(document)[cloud_init.SETTINGS_FILE]["content"])
    return load_settings(file)


def test_it_equals_the_shipped_file_except_for_its_settings() -> None:
    download = Download("URL/v1/agent?sha256=SHA256", "SHA256")
    document = yaml.safe_load(user_data(cloud_config(OWN, TOKEN, download=download)))
    shipped = files(SHIPPED)
    assert document["runcmd"] == SHIPPED["runcmd"]
    assert set(files(document)) <= set(shipped)
    fetch = cloud_init.FETCH_FILE
    assert files(document)[fetch]["content"] == shipped[fetch]["content"]
    unit = files(document)[cloud_init.UNIT_FILE]
    assert unit["content"] == shipped[cloud_init.UNIT_FILE]["content"]
    assert unit["content"] == (ROOT / "etc/systemd/factstore-agent.service").read_text()
    grant = files(document)[cloud_init.GRANT_FILE]
    assert grant["permissions"] == shipped[cloud_init.GRANT_FILE]["permissions"] == "0600"
    assert grant["content"] == f"{TOKEN}\n"


def test_it_has_the_header_of_cloud_init_and_appends_to_the_lists_of_other_parts() -> None:
    text = user_data(cloud_config(OWN, TOKEN))
    assert text.startswith("#cloud-config\n")
    assert yaml.safe_load(text)["merge_how"] == [
        {"name": "list", "settings": ["append"]},
        {"name": "dict", "settings": ["no_replace", "recurse_list"]},
    ]
    assert message_from_string(f"Content-Type: text/cloud-config\n\n{text}").get_payload() == text


def test_nothing_is_installed_in_an_image_that_contains_the_agent() -> None:
    document = cloud_config(OWN, TOKEN)
    assert document["runcmd"] == [["systemctl", "enable", "--now", "factstore-agent"]]
    assert set(files(document)) == {cloud_init.GRANT_FILE, cloud_init.SETTINGS_FILE}


def test_the_agent_reads_the_settings(tmp_path: Path) -> None:
    more = {
        "agent": {"attributes": {"rack": 4, "ü": ["%", "#"]}, "depart_on_stop": False, "ttl": 60},
        "react": {"settle": 0.5, "run_hooks": "files"},
        "template slurm.conf": {"source": "slurm.j2", "destination": "/etc/slurm/slurm.conf"},
        "facts": {"builtin": "ip hostname"},
    }
    found = settings(cloud_config(OWN, TOKEN, settings=more), tmp_path)
    assert (found.agent.stack, found.agent.member, found.agent.group) == ("slurm", "head", "head")
    assert found.service.url == "https://cloud:8796"
    assert found.service.grant_file == Path(cloud_init.GRANT_FILE)
    assert found.agent.attributes == {"rack": 4, "ü": ["%", "#"]}
    assert (found.agent.depart_on_stop, found.agent.ttl) == (False, 60)
    assert (found.react.settle, found.react.run_hooks) == (0.5, "files")
    assert found.templates["slurm.conf"].destination == Path("/etc/slurm/slurm.conf")
    assert found.facts.builtin == ("ip", "hostname")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"agent": {"stack": "other"}}, r"\[agent\] stack is set from the grant. Leave it out"),
        ({"service": {"grant_file": "/g"}}, r"\[service\] grant_file is set from the grant"),
        ({"agent": {"log_level": "info\n[service]\nurl = evil"}}, r"log_level must be one line"),
        ({"agent": {"log_level": "info\rx"}}, r"log_level must be one line"),
        ({"a]\n[agent": {"x": 1}}, "is not a valid section name"),
        ({" a": {"x": 1}}, "is not a valid section name"),
        ({"": {"x": 1}}, "is not a valid section name"),
        ({7: {"x": 1}}, "is not a valid section name"),
        ({"agent": {"a = b\nc": 1}}, "is not a valid option name"),
        ({"agent": {"Stack": "x"}}, "'Stack' is not a valid option name"),
        ({"agent": {"": 1}}, "is not a valid option name"),
        ({"agent": "ready"}, r"\[agent\] must be a map of options"),
    ],
)
def test_settings_that_are_invalid_in_a_configuration_file_are_refused(
    more: dict[Any, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        cloud_config(OWN, TOKEN, settings=more)


def test_a_certificate_must_be_one_in_pem() -> None:
    with pytest.raises(ValueError, match="cacert is not a certificate in PEM"):
        cloud_config(OWN, TOKEN, cacert="/etc/ssl/ca.pem")
