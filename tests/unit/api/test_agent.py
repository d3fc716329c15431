"""The file of the agent: the current one, earlier ones, and the reasons for refusing to send one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from unittest.mock import Mock

import pytest
from flask.testing import FlaskClient

from factstore.api.agent_files import AgentFiles
from factstore.api.app import create_app
from factstore.core.services.composition import Services

AGENT = "/v1/agent"
OLD, NEW = b"an agent\n" * 20000, b"a newer agent\n" * 20000


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The file of the service's release."""
    file = tmp_path / "factstore-agent.pyz"
    file.write_bytes(OLD)
    return file


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The directory for earlier releases."""
    directory = tmp_path / "agents"
    directory.mkdir()
    return directory


def client(files: AgentFiles) -> FlaskClient:
    return create_app(Mock(spec=Services), Mock(), agent_files=files).test_client()


def detail(files: AgentFiles, query: str = "") -> str:
    """Return the reason for which the service does not offer a file."""
    answer = client(files).get(f"{AGENT}{query}")
    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "no-store"
    return str(answer.get_json()["detail"])


def test_the_file_is_sent_with_its_version_and_digest(own: Path) -> None:
    caller = client(AgentFiles("1.2", own=own))
    answer = caller.get(AGENT, headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert (answer.data, answer.content_length) == (OLD, len(OLD))
    assert answer.headers["Factstore-Agent-Version"] == "1.2"
    assert answer.headers["Factstore-Agent-Sha256"] == sha256(OLD)
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    head = caller.head(AGENT)
    assert (head.data, head.headers["ETag"]) == (b"", f'"{sha256(OLD)}"')
    assert head.content_length == len(OLD)
    known = caller.get(AGENT, headers={"If-None-Match": head.headers["ETag"]})
    assert (known.status_code, known.data) == (304, b"")
    own.write_bytes(NEW)  # as 'make agent' does while the service runs
    assert caller.get(AGENT).headers["Factstore-Agent-Sha256"] == sha256(NEW)


def test_an_earlier_release_is_offered_after_an_upgrade(own: Path, kept: Path) -> None:
    for _ in range(2):
        AgentFiles("1.2", kept, own).keep()
    assert [file.name for file in kept.iterdir()] == [f"factstore-agent-1.2-{sha256(OLD)}.pyz"]
    own.write_bytes(NEW)
    caller = client(AgentFiles("1.3", kept, own))
    old = caller.get(f"{AGENT}?sha256={sha256(OLD)}")
    assert (old.data, old.headers["Factstore-Agent-Version"]) == (OLD, "1.2")
    assert old.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert caller.get(AGENT).data == caller.get(f"{AGENT}?sha256={sha256(NEW)}").data == NEW


def test_a_file_that_is_not_offered_has_a_reason_and_a_remedy(own: Path, kept: Path) -> None:
    assert "[api] agent = false" in detail(AgentFiles(own=None))
    assert "make agent" in detail(AgentFiles(own=kept / "missing"))
    missing = detail(AgentFiles("1.3", kept, own), f"?sha256={sha256(NEW)}")
    assert f"with the sha256 {sha256(NEW)}. It offers {sha256(OLD)}." in missing
    assert "agent_directory" in missing
    AgentFiles("1.2", kept, own).keep()
    (spoilt,) = kept.iterdir()
    spoilt.write_bytes(NEW)
    own.write_bytes(NEW)
    assert "no agent with" in detail(AgentFiles("1.3", kept, own), f"?sha256={sha256(OLD)}")


def test_a_digest_is_64_hexadecimal_digits(own: Path) -> None:
    for text in ("", "abc", sha256(OLD).upper(), f"{sha256(OLD)}\n"):
        answer = client(AgentFiles(own=own)).get(AGENT, query_string={"sha256": text})
        assert answer.status_code == 400


def test_a_directory_that_cannot_be_written_does_not_stop_the_service(
    own: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.copyfile", Mock(side_effect=OSError("no space left")))
    AgentFiles("1.2", kept, own).keep()
    assert list(kept.iterdir()) == []
    AgentFiles("1.2", kept / "missing", own).keep()
    monkeypatch.setattr(Path, "is_dir", Mock(side_effect=PermissionError(13, "Permission denied")))
    refused = AgentFiles("1.2", kept, own)
    refused.keep()
    assert "no agent with" in detail(refused, f"?sha256={sha256(NEW)}")


def test_a_file_that_cannot_be_read_is_one_that_is_missing(own: Path, kept: Path) -> None:
    (kept / f"factstore-agent-1.1-{sha256(NEW)}.pyz").symlink_to(kept / "missing")
    assert "no agent with" in detail(AgentFiles("1.2", kept, own), f"?sha256={sha256(NEW)}")
