"""The configuration: accepted values, and the errors for all others."""

from __future__ import annotations

from pathlib import Path

import pytest

from factstore.agent.config.settings import SettingsError, load_settings
from factstore.client.render import RENDERERS
from tests.unit.agent.factories import write

FILE = "[template b]\nsource = b\ndestination = /b\n"


def errors_of(directory: Path, text: str) -> list[str]:
    file = write(directory / "agent.conf", text)
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    assert all(each.startswith(f"{file}: ") for each in caught.value.errors)
    return [each.removeprefix(f"{file}: ") for each in caught.value.errors]


def test_only_the_stack_is_required(tmp_path: Path) -> None:
    found = load_settings(write(tmp_path / "agent.conf", "[agent]\nstack = slurm\n"))
    assert (found.agent.stack, found.agent.member, found.agent.group) == ("slurm", "", "node")
    assert found.agent.ttl == 30
    assert found.agent.depart_on_stop
    assert found.facts.directory == Path("/etc/factstore/facts.d")
    assert found.react.run_hooks == "context"
    assert (found.templates, found.renders, found.keystone) == ({}, {}, {})


def test_all_kinds_of_options_are_parsed(tmp_path: Path) -> None:
    text = """
        [agent]
        stack = slurm
        member = c1
        attributes = {"rack": 7}
        depart_on_stop = no
        [service]
        url = https://controller:8796
        [keystone]
        auth_type = v3applicationcredential
        [facts]
        builtin = ip boot_id
        interval = 5.5
        [template slurm.conf]
        source = slurm.conf.j2
        destination = /etc/slurm/slurm.conf
        mode = 0640
        [render all hosts]
        renderer = hosts
        destination = /etc/hosts.stack
        """
    found = load_settings(write(tmp_path / "agent.conf", text))
    assert found.agent.attributes == {"rack": 7}
    assert not found.agent.depart_on_stop
    assert found.keystone == {"auth_type": "v3applicationcredential"}
    assert (found.facts.builtin, found.facts.interval) == (("ip", "boot_id"), 5.5)
    assert found.templates["slurm.conf"].source == tmp_path / "templates" / "slurm.conf.j2"
    assert found.templates["slurm.conf"].mode == 0o640
    assert found.renders["all hosts"].renderer == "hosts"


def test_all_errors_are_reported(tmp_path: Path) -> None:
    text = """
        [agent]
        ttl = 4
        colour = red
        ready = perhaps
        [facts]
        directory = facts.d
        [weather]
        [render]
        [render x]
        renderer = xml
        destination = /x
        mode = 999
        """
    assert sorted(errors_of(tmp_path, text)) == [
        "[agent] colour: this option is unknown.",
        "[agent] ready: 'perhaps' is not one of applied, manual.",
        "[agent] stack: this option is required.",
        "[agent] ttl: '4' is not an integer from 5 to 86400.",
        "[facts] directory: 'facts.d' is not an absolute path.",
        "[render x] mode: '999' is not a file mode such as 0644.",
        f"[render x] renderer: 'xml' is not one of {', '.join(sorted(RENDERERS))}.",
        "[render]: this section is unknown.",
        "[weather]: this section is unknown.",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[react]\nsettle = 3\nmax_settle = 2\n",
            "max_settle: the value must not be less",
        ),
        ("[react]\nsettle = nan\n", "settle: 'nan' is not a number of seconds from 0 to 5."),
        (
            "[react]\nretry_first = 9\nretry_longest = 8\n",
            "the value must not be less than retry",
        ),
        ("[agent]\nattributes = [1]\n", "attributes: the value is not a JSON object"),
        ("[agent]\ndepart_on_stop = true\n", "'true' is neither yes nor no."),
        ("[service]\nurl = controller:8796\n", "url: the value is not a URL such as"),
        ("[service]\nurl = http://a:b@c/\n", "the URL must not contain a password"),
        ("[service]\nurl = http://[\n", "url: the value is not a URL such as"),
        ("[service]\ngrant_file =\n", "grant_file: the value must not be empty."),
        ("[agent]\nstack = two\n", "already exists"),
        ("stack = two\n[agent]\n", "already exists"),
        (
            "[render a]\nrenderer = raw\ndestination = /\n[template b]\nsource = b\ndestination = /\n",
            "destination: [template b] writes the same file.",
        ),
        (FILE + "check = nginx -t\n", "check: 'nginx -t' does not contain %s, which stands for"),
        (FILE + "check =\n", "check: '' does not contain %s"),
        (FILE + "command =\n", "command: the value must not be empty."),
        (FILE + "command = a\0b\n", "command: the value contains a NUL character."),
        (FILE + "command = a\nwhen_changed = always\n", "'always' is neither yes nor no."),
        (FILE + "when_changed = no\n", "[template b] when_changed: the section has no command."),
        (FILE + "timeout = 0\n", "timeout: '0' is not a number of seconds from 0.1 to 86400."),
        (FILE + "settle = 4000\n", "settle: '4000' is not a number of seconds from 0 to 3600."),
        (FILE + "settle = 9\nmax_settle = 8\n", "max_settle: the value must not be less than"),
        (
            "[render a]\nrenderer = data-bags\ndestination = /a\ncheck = test -d %s\n",
            "[render a] check: the renderer data-bags writes a folder, and only files can be",
        ),
    ],
)
def test_invalid_values_and_contradictions_are_refused(
    tmp_path: Path, text: str, expected: str
) -> None:
    head = "" if text.startswith("[agent]") else "[agent]\nstack = slurm\n"
    text = text.replace("[agent]\n", "[agent]\nstack = slurm\n", 1) if not head else head + text
    (error,) = errors_of(tmp_path, text)
    assert expected in error


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load_settings(tmp_path / "nothing.conf")


def test_a_password_in_the_url_is_not_repeated(tmp_path: Path) -> None:
    (error,) = errors_of(
        tmp_path, "[agent]\nstack = slurm\n[service]\nurl = http://user:hunter2@c\n"
    )
    assert "hunter2" not in error
