"""The service's URL and the credential, from the configuration and the environment."""

from __future__ import annotations

import base64
import contextlib
from pathlib import Path

import pytest

from factstore.agent.errors import Misconfigured
from factstore.agent.session.connection import open_connection
from factstore.agent.session.credential import Credential, choose_credential
from tests.unit.agent.factories import STACK, settings, write
from tests.unit.client.stub import Service, answer

URL = "[service]\nurl = http://here:8796\n"
GRANT = f"{URL}grant_file = DIR/grant\n"


def test_a_url_alone_is_used_without_authentication(tmp_path: Path) -> None:
    found = choose_credential(settings(tmp_path, URL), {})
    assert found == Credential({"OS_AUTH_TYPE": "none", "OS_ENDPOINT": "http://here:8796"})


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


PERSON = {
    "OS_AUTH_TYPE": "http_basic",
    "OS_USERNAME": "person",
    "OS_PASSWORD": "s3cret-of-a-person",
    "OS_ENDPOINT": "http://elsewhere.invalid",
    "OS_CACERT": "/etc/hosts",
}


@pytest.mark.parametrize(
    "text", [URL, GRANT, f"{URL}[keystone]\nauth_type = password\nauth_url = http://k\n"]
)
def test_a_persons_variables_never_mix_into_the_configured_credential(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "grant", "g1.s3cret", 0o600)
    made = settings(tmp_path, text)
    found = choose_credential(made, PERSON)
    assert found.variables == choose_credential(made, {}).variables
    assert found.ignored == ("OS_AUTH_TYPE", "OS_ENDPOINT", "OS_PASSWORD", "OS_USERNAME")
    with contextlib.suppress(Misconfigured):  # half of a credential is refused, not completed
        open_connection(made, PERSON)
    assert "OS_PASSWORD, OS_USERNAME" in caplog.text
    assert "s3cret" not in caplog.text + repr(found)


def test_variables_are_used_whole_if_the_configuration_names_no_service(tmp_path: Path) -> None:
    assert choose_credential(settings(tmp_path), PERSON) == Credential(PERSON)


def test_the_grant_in_the_environment_is_used_instead_of_the_configured_one(
    tmp_path: Path,
) -> None:
    grant = {"FACTSTORE_GRANT": "g2.other", **PERSON}
    found = choose_credential(settings(tmp_path, GRANT), grant)
    assert (found.url, found.grant) == ("http://here:8796", "g2.other")
    assert found.ignored[0] == "grant_file"
    found = choose_credential(settings(tmp_path), grant)
    assert (found.url, found.grant) == ("http://elsewhere.invalid", "g2.other")
    assert "OS_ENDPOINT" not in found.ignored


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{GRANT}[keystone]\nauth_url = http://k\n", "Remove one of them"),
        ("[service]\ngrant_file = DIR/grant\n", r"grant_file needs \[service\] url"),
    ],
)
def test_two_credentials_or_half_of_one_are_refused(
    tmp_path: Path, text: str, expected: str
) -> None:
    write(tmp_path / "grant", "g1.s3cret", 0o600)
    with pytest.raises(Misconfigured, match=expected):
        choose_credential(settings(tmp_path, text), {})


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbfg1.s3cret", b"g1.s3cret\r\n", b"\n g1.s3cret \n\n"]
)
def test_marks_and_line_ends_of_editors_are_no_part_of_the_grant(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "grant").write_bytes(content)
    (tmp_path / "grant").chmod(0o600)
    assert choose_credential(settings(tmp_path, GRANT), {}).grant == "g1.s3cret"


@pytest.mark.parametrize(
    ("option", "content", "expected"),
    [
        ("cacert", None, "cannot be read: No such file"),
        ("cacert", b"", "is empty"),
        ("cacert", b"\x30\x82", "contains no CA certificate as PEM"),
        ("cacert", b"-----BEGIN PRIVATE KEY-----\n", "contains no CA certificate as PEM"),
        ("cacert", b"\xef\xbb\xbf-----BEGIN CERTIFICATE-----\n", "byte order mark"),
    ],
)
def test_a_file_of_cas_that_cannot_be_used_is_named(
    tmp_path: Path, option: str, content: bytes | None, expected: str
) -> None:
    if content is not None:
        (tmp_path / "ca").write_bytes(content)
    made = settings(tmp_path, f"{URL}{option} = DIR/ca\n")
    with pytest.raises(Misconfigured, match=expected) as raised:
        open_connection(made, {})
    assert f"{tmp_path}/ca (cacert)" in str(raised.value)


def test_keystone_options_become_variables(tmp_path: Path) -> None:
    made = settings(tmp_path, f"{URL}[keystone]\nauth_type = password\nauth_url = http://k\n")
    assert choose_credential(made, {}).variables == {
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
        ("Authorization: Bearer g1.s3cret", 0o600, "no header, no variable"),
        ("FACTSTORE_GRANT=g1.s3cret", 0o600, "no header, no variable"),
    ],
)
def test_a_malformed_or_unprotected_grant_file_is_refused(
    tmp_path: Path, content: str, mode: int, expected: str
) -> None:
    write(tmp_path / "grant", content, mode)
    with pytest.raises(Misconfigured) as caught:
        choose_credential(settings(tmp_path, GRANT), {})
    assert expected in str(caught.value)
    assert "s3cr" not in str(caught.value)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o755)
    with pytest.raises(Misconfigured, match="Is a directory"):
        choose_credential(settings(tmp_path, f"{URL}grant_file = {tmp_path}/folder\n"), {})
    with pytest.raises(Misconfigured, match="No such file"):
        choose_credential(settings(tmp_path, GRANT), {})


def test_a_missing_url_is_reported_with_the_options_to_set(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"set \[service\] url"):
        choose_credential(settings(tmp_path), {})


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("username = u\npassword = p\n", "auth_url"),
        ("auth_url = http://k\nusername = u\n", "password"),
    ],
)
def test_a_missing_keystone_option_is_reported(tmp_path: Path, text: str, missing: str) -> None:
    made = settings(tmp_path, f"[keystone]\nauth_type = password\n{text}")
    environ = {"OS_PASSWORD": "p", "OS_AUTH_URL": "http://k"}  # the other half is somebody's
    with pytest.raises(Misconfigured, match=rf"The credential in \[keystone\] lacks {missing}\."):
        open_connection(made, environ)


@pytest.mark.parametrize("text", ["", "[keystone]\nauth_url = http://k\ncloud = lab\n"])
def test_clouds_yaml_is_not_read_on_an_instance(tmp_path: Path, text: str) -> None:
    variables = {"OS_CLOUD": "lab", "OS_AUTH_URL": "http://k"}
    found = choose_credential(settings(tmp_path, text), variables)
    assert found.variables == {"OS_AUTH_URL": "http://k"}
    assert "OS_CLOUD" in found.ignored
