"""Templates, and the files that are rendered."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from factstore.agent.apply import templates
from factstore.agent.apply.files import (
    RenderedFile,
    RenderedFolder,
    RenderError,
    file_specs,
    render,
)
from factstore.agent.apply.sensitive_facts import SensitiveFacts
from factstore.agent.config.settings import Settings
from tests.unit.agent.factories import context, settings, write
from tests.unit.client.stub import FakeClock, Service, answer, fact

DOCUMENT: dict[str, Any] = {
    "stack": "slurm",
    "facts": {"nodes": {"c1": {"ip": "10.0.0.1"}, "c2": {"ip": "10.0.0.2\nevil"}}, "motto": "a b"},
    "members": {"c1": {"group": "node"}},
    "self": {"name": "c1"},
    "peers": {},
}


def rendered(directory: Path, template: str, document: dict[str, Any] = DOCUMENT) -> str:
    return templates.render(write(directory / "t.j2", template), document)


def broken(directory: Path, template: str) -> str:
    with pytest.raises(templates.TemplateError) as caught:
        rendered(directory, template)
    return str(caught.value)


def test_a_template_can_use_the_whole_context(tmp_path: Path) -> None:
    text = "{{ stack }} {{ me.name }} {{ facts.nodes.c1.ip }} {{ context.members | length }}\n"
    assert rendered(tmp_path, text) == "slurm c1 10.0.0.1 1\n"


def test_blocks_leave_no_empty_lines(tmp_path: Path) -> None:
    text = (
        "{% for name in facts.nodes %}\n  {% if true %}\n{{ name }}\n  {% endif %}\n{% endfor %}\n"
    )
    assert rendered(tmp_path, text) == "c1\nc2\n"


def test_a_template_can_include_templates_of_its_directory(tmp_path: Path) -> None:
    write(tmp_path / "part.j2", "{{ stack }}\n")
    assert rendered(tmp_path, "{% include 'part.j2' %}") == "slurm\n"
    assert "does not exist" in broken(tmp_path, "{% include 'nothing.j2' %}")
    assert "does not exist" in broken(tmp_path, "{% include '../../etc/passwd' %}")


def test_an_undefined_name_is_an_error_without_a_default(tmp_path: Path) -> None:
    assert "line 2: 'dict object' has no attribute 'c9'" in broken(
        tmp_path, "x\n{{ facts.nodes.c9.ip }}\n"
    )
    assert rendered(tmp_path, "{{ facts.nodes.c9 | default('none') }}") == "none"


def test_an_error_is_reported_with_its_line(tmp_path: Path) -> None:
    assert broken(tmp_path, "fine\n{% if %}").startswith(f"{tmp_path}/t.j2, line 2: ")
    assert "line 3: division by zero" in broken(tmp_path, "a\nb\n{{ 1 / 0 }}")


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ facts.__class__ }}",
        "{{ facts.clear() }}",
        "{{ '{0.__class__}'.format(facts) }}",
        "{{ cycler.__init__.__globals__ }}",
    ],
)
def test_a_template_prints_facts_and_runs_no_python(tmp_path: Path, template: str) -> None:
    assert "unsafe" in broken(tmp_path, template)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("10.0.0.1", "address"),
        ("2001:db8::1", "address"),
        ("c1", "hostname"),
        ("c1.example.com", "hostname"),
        ("a" * 63, "hostname"),
    ],
)
def test_addresses_and_host_names_pass_their_tests(tmp_path: Path, value: str, kind: str) -> None:
    document = {**DOCUMENT, "facts": {"it": value}}
    assert rendered(tmp_path, f"{{{{ facts.it is {kind} }}}}", document) == "True"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a b",
        "c1\n",
        "-c1",
        "c1-",
        "c1..d",
        "C1",
        "c\u0661",
        "a" * 64,
        "a." * 127 + "a",
        "10.0.0.1\nevil",
        "10.0.0.01",
        "fe80::1%eth0\nevil",
        167772161,
        None,
        ["10.0.0.1"],
        {},
    ],
)
def test_other_values_fail_the_tests_for_addresses_and_host_names(
    tmp_path: Path, value: Any
) -> None:
    document = {**DOCUMENT, "facts": {"it": value}}
    for kind in ("address", "hostname"):
        if not (kind == "hostname" and value == "10.0.0.01"):
            assert rendered(tmp_path, f"{{{{ facts.it is {kind} }}}}", document) == "False"


def test_an_undefined_value_is_neither_an_address_nor_a_host_name(tmp_path: Path) -> None:
    assert (
        rendered(tmp_path, "{{ facts.it is address }} {{ facts.it is hostname }}") == "False False"
    )


def test_filters_print_a_fact_without_adding_lines(tmp_path: Path) -> None:
    assert rendered(tmp_path, "{{ facts.nodes.c1.ip | line }}") == "10.0.0.1"
    assert "a value with a line break" in broken(tmp_path, "{{ facts.nodes.c2.ip | line }}")
    assert rendered(tmp_path, "{{ facts.motto | shell }}") == "'a b'"
    assert rendered(tmp_path, "{{ facts.nodes.c2 | json }}") == '{"ip": "10.0.0.2\\nevil"}'
    assert rendered(tmp_path, "{{ 5 | line }}") == "5"
    assert rendered(tmp_path, "{{ facts.nodes.c1.ip | address }}") == "10.0.0.1"
    for wrong in ("facts.nodes.c2.ip", "facts.motto", "5", "facts.nodes"):
        assert "a value that is not an IP address" in broken(
            tmp_path, f"{{{{ {wrong} | address }}}}"
        )


# Files

TEXT = """
    [template conf]
    source = conf.j2
    destination = DIR/out/conf
    [render hosts]
    renderer = hosts
    destination = DIR/out/hosts
    mode = 0640
    """


@pytest.fixture
def made(tmp_path: Path) -> Settings:
    write(tmp_path / "templates" / "conf.j2", "motto = {{ facts.motto }}\n")
    (tmp_path / "out").mkdir()
    return settings(tmp_path, "\n".join(line.strip() for line in TEXT.splitlines()))


def both(
    made: Settings, sealed: SensitiveFacts, document: dict[str, Any] = DOCUMENT
) -> list[RenderedFile]:
    files = [render(output, document, sealed) for output in file_specs(made)]
    return [file for file in files if isinstance(file, RenderedFile)]


def folder(made: Settings, sealed: SensitiveFacts, facts: dict[str, Any]) -> RenderedFolder:
    (output,) = file_specs(made)
    found = render(output, {"stack": "slurm", "facts": facts, "members": {}}, sealed)
    assert isinstance(found, RenderedFolder)
    return found


@pytest.fixture
def sealed(service: Service, clock: FakeClock) -> SensitiveFacts:
    return SensitiveFacts(service.stack(clock, retry_for=0.0))


def test_files_are_written_once_with_their_modes(
    made: Settings, sealed: SensitiveFacts, tmp_path: Path
) -> None:
    conf, hosts = both(made, sealed)
    assert [conf.write_if_changed(), hosts.write_if_changed()] == [True, True]
    assert (tmp_path / "out" / "conf").read_text() == "motto = a b\n"
    assert (tmp_path / "out" / "hosts").read_text() == "10.0.0.1\tc1\n"
    modes = [stat.S_IMODE(os.stat(each.path).st_mode) for each in (conf, hosts)]
    assert modes == [0o644, 0o640]
    assert [conf.write_if_changed(), hosts.write_if_changed()] == [False, False]


@pytest.mark.parametrize("harm", ["content", "mode", "gone", "link"])
def test_a_modified_file_is_written_again(
    made: Settings, sealed: SensitiveFacts, tmp_path: Path, harm: str
) -> None:
    conf, _ = both(made, sealed)
    conf.write_if_changed()
    if harm == "content":
        conf.path.write_text("mine")
    elif harm == "mode":
        conf.path.chmod(0o666)
    else:
        conf.path.unlink()
        if harm == "link":
            (tmp_path / "elsewhere").write_text("motto = a b\n")
            conf.path.symlink_to(tmp_path / "elsewhere")
    assert conf.write_if_changed()
    assert conf.is_current()
    if harm == "link":
        assert (tmp_path / "elsewhere").read_text() == "motto = a b\n"


def test_a_folder_contains_the_files_of_the_context_and_keeps_others(
    sealed: SensitiveFacts, tmp_path: Path
) -> None:
    made = settings(
        tmp_path, "[render bags]\nrenderer = data-bags\ndestination = DIR/bags\nmode = 0640\n"
    )
    bags = tmp_path / "bags"
    first = folder(made, sealed, {"nodes": {"c1": {"cpus": 1}, "c2": {}}})
    assert first.write_if_changed()
    assert first.is_current()
    assert not first.write_if_changed()
    item = bags / "nodes" / "c1.json"
    assert stat.S_IMODE(item.stat().st_mode) == 0o640
    (bags / "nodes" / "mine.json").touch()
    second = folder(made, sealed, {"nodes": {"c1": {"cpus": 2}}})
    assert second.digest != first.digest
    assert not second.is_current()
    assert second.write_if_changed()
    assert {file.name for file in (bags / "nodes").iterdir()} == {"c1.json", "mine.json"}
    assert '"cpus": 2' in item.read_text()


def test_a_file_with_a_secret_is_private_unless_a_mode_is_configured(
    made: Settings, sealed: SensitiveFacts, service: Service
) -> None:
    service.will(answer(200, fact("motto", "s3cret words")))
    closed = context({"nodes": {}, "motto": None}, sensitive={"motto": "e.1"})
    opened = sealed.reveal(closed.document)
    conf, hosts = both(made, sealed, opened)
    assert b"s3cret" in conf.data
    assert (conf.mode, hosts.mode) == (0o600, 0o640)


def test_an_error_names_the_section_and_contains_no_secret(
    made: Settings, sealed: SensitiveFacts, service: Service, tmp_path: Path
) -> None:
    service.will(answer(200, fact("motto", "s3cret words")))
    closed = context({"motto": None}, sensitive={"motto": "e.1"})
    opened = sealed.reveal(closed.document)
    write(tmp_path / "templates" / "conf.j2", "{{ {}[facts.motto] }}")
    with pytest.raises(RenderError) as caught:
        both(made, sealed, opened)
    assert caught.value.name == "template conf"
    assert "has no attribute '***'" in str(caught.value)


def test_an_unknown_owner_is_reported(sealed: SensitiveFacts, tmp_path: Path) -> None:
    text = "[render x]\nrenderer = raw\ndestination = DIR/x\nowner = nobody-of-that-name\n"
    with pytest.raises(RenderError, match="nobody-of-that-name"):
        both(settings(tmp_path, text), sealed)


def test_two_facts_with_the_same_variable_are_reported(
    sealed: SensitiveFacts, tmp_path: Path
) -> None:
    text = "[render x]\nrenderer = env\ndestination = DIR/x\n"
    document = {**DOCUMENT, "facts": {"a-b": 1, "a.b": 2}}
    with pytest.raises(RenderError, match="would both become A_B"):
        both(settings(tmp_path, text), sealed, document)
