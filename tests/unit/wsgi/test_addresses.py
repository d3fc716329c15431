"""Names and addresses of this machine."""

from __future__ import annotations

import pytest

from factstore.wsgi.addresses import host_name, is_loopback


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "Localhost:8796",
        "localhost.",
        "localhost.:8796",
        "LocalHost.:8796",
        "127.0.0.1",
        "127.8.9.10:80",
        "[::1]",
        "[::1]:8796",
        "",
    ],
)
def test_every_spelling_of_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host_name(host))


@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "localhost.example.org:80",
        "localhost..",
        "notlocalhost",
        "127.0.0.1.example.org",
        "10.0.0.1:80",
        "[2001:db8::1]:80",
        ".",
    ],
)
def test_other_names_are_not_loopback(host: str) -> None:
    assert not is_loopback(host_name(host))
