"""The files that are rendered from templates and folders."""

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
from factstore.agent.apply.lacking import LackingFacts
from factstore.agent.apply.recording import Recorder
from factstore.agent.apply.sensitive_facts import SensitiveFacts
from factstore.agent.apply.template_data import FactMissing
from factstore.agent.config.settings import Settings
from factstore.agent.system.state_dir import StateDir
from tests.unit.agent.factories import DOCUMENT, context, settings, write
from tests.unit.client.stub import FakeClock, Service, answer, fact

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


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("{{ facts.nodes.c3.ip }}", "nodes/c3/ip"),
        ("{{ facts.nodes.c1.munge.key.text }}", "nodes/c1/munge/key/text"),
        ("{{ facts['nodes']['c1']['port'] + 1 }}", "nodes/c1/port"),
        ("{{ facts.nodes.c1.get('port') ~ '' }}", "nodes/c1/port"),
        ("{% for x in facts.nodes.c3.disks %}{% endfor %}", "nodes/c3/disks"),
        ("{{ facts.cluster | json }}", "cluster"),
        ("{{ context.facts.nodes.c1.port }}", "nodes/c1/port"),
        ("{{ facts.nodes.c1['no path'] }}", None),
        ("{{ me.nothing }}", None),
        ("{{ nothing }}", None),
        ("{{ 1 / 0 }}", None),
    ],
)
def test_the_fact_that_a_template_lacks_is_named(
    tmp_path: Path, template: str, path: str | None
) -> None:
    state = StateDir(tmp_path / "state", ("s", "m"))
    state.create()
    lacking = LackingFacts(state)
    source = write(tmp_path / "t.j2", template)
    for recorder in (None, Recorder()):
        with pytest.raises(templates.TemplateError) as caught:
            templates.render(source, DOCUMENT, recorder)
        lacking.clear()
        lacking.note(caught.value)
        assert (lacking.paths(failed=True) or [None]) == [path]


def test_lacking_facts_are_withdrawn_once_they_were_reported(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state", ("s", "m"))
    state.create()
    lacking = LackingFacts(state)
    assert lacking.paths(failed=True) is None
    lacking.note(FactMissing(("nodes", "c1", "ip")))
    assert lacking.paths(failed=True) == ["nodes/c1/ip"]
    assert lacking.paths(failed=False) == []
    assert LackingFacts(state).paths(failed=True) == []
