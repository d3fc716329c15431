"""URLs in responses."""

from __future__ import annotations

import pytest
from flask import Flask, Response

from factstore.api.responses import set_location


@pytest.mark.parametrize(
    ("host", "mount", "url"),
    [
        ("facts.example:8778", "", "https://facts.example:8778/v1/stacks/s"),
        (
            "facts.example",
            "/contextualization",
            "https://facts.example/contextualization/v1/stacks/s",
        ),
        ("[::1]:1", "/a b", "https://[::1]:1/a%20b/v1/stacks/s"),
        ("xn--fsq.example", "", "https://xn--fsq.example/v1/stacks/s"),
        ("xn--a", "", "https://xn--a/v1/stacks/s"),
    ],
)
def test_the_location_of_a_new_resource_is_a_url_of_the_client_s(
    host: str, mount: str, url: str
) -> None:
    environ = {"HTTP_HOST": host, "SCRIPT_NAME": mount, "wsgi.url_scheme": "https"}
    response = Response()
    with Flask("app").test_request_context("/", environ_overrides=environ):
        set_location(response, "stacks", "s")
    assert (response.status_code, response.headers["Location"]) == (201, url)
