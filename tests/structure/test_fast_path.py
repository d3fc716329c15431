"""The fast path ignores no header to which a view gives a meaning."""

from __future__ import annotations

from factstore.wsgi.fast_path.request_headers import IGNORED
from tests.structure.application import documented, operations


def test_no_operation_names_a_header_that_the_fast_path_ignores() -> None:
    parameters = documented()["components"]["parameters"].values()
    named = {each["name"].lower() for each in parameters if each["in"] == "header"}
    assert "if-match" in named
    assert not named & IGNORED


def test_the_operations_of_the_fast_path_exist() -> None:
    assert {
        ("GET", "/v1/stacks/{stack}/facts/{path}"),
        ("PUT", "/v1/stacks/{stack}/facts/{path}"),
        ("POST", "/v1/stacks/{stack}/batch"),
        ("POST", "/v1/stacks/{stack}/members/{member}/heartbeat"),
    } <= operations()
