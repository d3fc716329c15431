"""``factstore-migrate --facts`` writes what a template knows to a running service."""

from __future__ import annotations

from pathlib import Path

import pytest

from factstore.client import connect
from factstore.cmd import migrate
from tests.http import fresh_stack
from tests.service import ApiServer

TEMPLATES = Path(__file__).parents[1] / "unit" / "migrate" / "templates"


@pytest.mark.parametrize("name", ["a b", "", "a/b"])
def test_an_invalid_stack_name_is_refused_before_anything_is_written(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = (TEMPLATES / "server.yaml").read_text()
    template = tmp_path / "server.yaml"
    template.write_text(text)
    assert migrate.main(["--facts", "--stack", name, "--in-place", str(template)]) == 2
    printed = capfd.readouterr().err
    start = (
        f"factstore-migrate: --stack: The stack name {name!r} is not valid: it is one segment, and "
    )
    assert printed.startswith(start)
    assert template.read_text() == text


def test_constants_and_parameters_are_written_and_the_rest_is_reported(
    one_worker: ApiServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OS_AUTH_TYPE", "none")
    monkeypatch.setenv("OS_ENDPOINT", one_worker.url)
    name = fresh_stack()
    template = str(TEMPLATES / "server.yaml")
    argv = ["--facts", "--stack", name, "--parameter", "Realm=prod", "--diff", template]
    assert migrate.main(argv) == 0
    facts = {fact.path: fact for fact in connect(one_worker.url).stack(name).snapshot().facts}
    assert facts["realm"].value == "prod"
    assert facts["broker/password"].value == "geheim"
    assert facts["broker/tls"].value is False
    assert facts["broker/since"].value == "2013-10-24"
    assert facts["motd"].value == "# not a comment\n  indented\nend\n"
    assert {fact.kind for fact in facts.values()} == {"parameter"}
    printed = capfd.readouterr().err
    assert "completion-handle is not written" in printed
    assert f"wrote {len(facts)} facts to {name}" in printed
