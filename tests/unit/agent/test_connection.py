"""The service's URL and the credential, from the configuration and the environment."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from factstore.agent.errors import Misconfigured
from factstore.agent.session.connection import load_credential, open_connection
from tests.unit.agent.factories import STACK, settings, write
from tests.unit.client.stub import Service, answer

URL = "[service]\nurl = http://here:8796\n"
GRANT = f"{URL}grant_file = DIR/grant\n"


def test_a_url_alone_is_used_without_authentication(tmp_path: Path) -> None:
    found, grant = load_credential(settings(tmp_path, URL), {})
    assert found == {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": "http://here:8796"}
    assert grant is None


def test_a_grant_from_a_file_is_sent_as_user_and_password(tmp_path: Path, service: Service) -> None:
    write(tmp_path / "grant", "g1.s3cret\n", 0o600)
    made = settings(tmp_path, GRANT.replace("http://here:8796", service.url))
    connection = open_connection(made, {})
    assert connection.enrolment is not None
    assert connection.enrolment.grant_id == "g1"
    service.will(answer(200, STACK))
    connection.stack.describe()
    shown = base64.b64encode(b"g1:s3cret").decode()
    assert service.calls[0].headers["Authorization"] == f"Basic {shown}"


def test_the_environment_takes_precedence(tmp_path: Path) -> None:
    write(tmp_path / "grant", "g1.s3cret", 0o600)
    made = settings(tmp_path, GRANT)
    found, grant = load_credential(
        made, {"FACTSTORE_GRANT": "g2.other", "OS_ENDPOINT": "http://there"}
    )
    assert grant == "g2"
    assert (found["OS_USERNAME"], found["OS_PASSWORD"]) == ("g2", "other")
    assert found["OS_ENDPOINT"] == "http://there"


def test_keystone_options_become_variables(tmp_path: Path) -> None:
    made = settings(tmp_path, f"{URL}[keystone]\nauth_type = password\nauth_url = http://k\n")
    assert load_credential(made, {})[0] == {
        "OS_AUTH_TYPE": "password",
        "OS_AUTH_URL": "http://k",
        "OS_CONTEXTUALIZATION_ENDPOINT_OVERRIDE": "http://here:8796",
    }


@pytest.mark.parametrize(
    ("content", "mode", "expected"),
    [
        ("g1.s3cret", 0o640, "is accessible to other users: run chmod 600"),
        ("g1.s3cret", 0o604, "is accessible to other users: run chmod 600"),
        ("", 0o600, "it must be <id>.<secret>"),
        ("s3cret", 0o600, "it must be <id>.<secret>"),
        ("g1.s3cret\ng2.s3cret", 0o600, "it must be <id>.<secret>"),
        ("g1.s3cr\u00e9t", 0o600, "it is not ASCII"),
    ],
)
def test_a_malformed_or_unprotected_grant_file_is_refused(
    tmp_path: Path, content: str, mode: int, expected: str
) -> None:
    write(tmp_path / "grant", content, mode)
    with pytest.raises(Misconfigured) as caught:
        load_credential(settings(tmp_path, GRANT), {})
    assert expected in str(caught.value)
    assert "s3cr" not in str(caught.value)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="No such file"):
        load_credential(settings(tmp_path, GRANT), {})


def test_a_missing_url_is_reported_with_the_options_to_set(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"set \[service\] url"):
        load_credential(settings(tmp_path), {})


def test_a_missing_keystone_option_is_reported(tmp_path: Path) -> None:
    made = settings(tmp_path, "[keystone]\nauth_type = password\nusername = u\n")
    with pytest.raises(Misconfigured, match="auth_url"):
        open_connection(made, {})
