"""Where the service is, and what is shown there."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from factstore.agent.errors import Unusable
from factstore.agent.session.connection import credential, open_connection
from tests.unit.agent.factories import STACK, settings, write
from tests.unit.client.stub import Service, answer

URL = "[service]\nurl = http://here:8796\n"
GRANT = f"{URL}grant_file = DIR/grant\n"


def test_a_url_alone_is_for_a_service_without_tokens(tmp_path: Path) -> None:
    found, grant = credential(settings(tmp_path, URL), {})
    assert found == {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": "http://here:8796"}
    assert grant is None


def test_a_grant_from_a_file_is_shown_as_user_and_password(
    tmp_path: Path, service: Service
) -> None:
    write(tmp_path / "grant", "g1.s3cret\n", 0o600)
    made = settings(tmp_path, GRANT.replace("http://here:8796", service.url))
    connection = open_connection(made, {})
    assert connection.grant == "g1"
    service.will(answer(200, STACK))
    connection.stack.describe()
    shown = base64.b64encode(b"g1:s3cret").decode()
    assert service.calls[0].headers["Authorization"] == f"Basic {shown}"


def test_the_environment_wins(tmp_path: Path) -> None:
    write(tmp_path / "grant", "g1.s3cret", 0o600)
    made = settings(tmp_path, GRANT)
    found, grant = credential(made, {"FACTSTORE_GRANT": "g2.other", "OS_ENDPOINT": "http://there"})
    assert grant == "g2"
    assert (found["OS_USERNAME"], found["OS_PASSWORD"]) == ("g2", "other")
    assert found["OS_ENDPOINT"] == "http://there"


def test_keystone_is_asked_with_the_options_of_its_section(tmp_path: Path) -> None:
    made = settings(tmp_path, f"{URL}[keystone]\nauth_type = password\nauth_url = http://k\n")
    assert credential(made, {})[0] == {
        "OS_AUTH_TYPE": "password",
        "OS_AUTH_URL": "http://k",
        "OS_CONTEXTUALIZATION_ENDPOINT_OVERRIDE": "http://here:8796",
    }


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        ("g1.s3cret", 0o640, "is open to others: chmod 600"),
        ("g1.s3cret", 0o604, "is open to others: chmod 600"),
        ("", 0o600, "it is <id>.<secret>"),
        ("s3cret", 0o600, "it is <id>.<secret>"),
        ("g1.s3cret\ng2.s3cret", 0o600, "it is <id>.<secret>"),
        ("g1.s3cr\u00e9t", 0o600, "it is not ASCII"),
    ],
)
def test_a_file_that_holds_no_grant_or_is_open_to_others_is_refused(
    tmp_path: Path, content: str, mode: int, said: str
) -> None:
    write(tmp_path / "grant", content, mode)
    with pytest.raises(Unusable) as caught:
        credential(settings(tmp_path, GRANT), {})
    assert said in str(caught.value)
    assert "s3cr" not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="No such file"):
        credential(settings(tmp_path, GRANT), {})


def test_who_does_not_say_where_the_service_is_is_told_how(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"give \[service\] url"):
        credential(settings(tmp_path), {})


def test_an_option_of_keystone_that_is_missing_is_told(tmp_path: Path) -> None:
    made = settings(tmp_path, "[keystone]\nauth_type = password\nusername = u\n")
    with pytest.raises(Unusable, match="auth_url"):
        open_connection(made, {})
