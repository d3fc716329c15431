"""Errors of the middleware have the same form as those of the application."""

from __future__ import annotations

import json
from unittest.mock import Mock
from urllib.parse import quote

import pytest
import webob
from webob import Request

from factstore.api.app import create_app
from factstore.api.errors import STATUS
from factstore.api.services import Services
from factstore.wsgi.middleware.problem import problem


def from_the_application(path: str, accept: str, root: str) -> webob.Response:
    app = create_app(Mock(spec=Services), Mock())
    environ = {"openstack.request_id": "req-1", "SCRIPT_NAME": root}
    return Request.blank(path, environ=environ, accept=accept).get_response(app)


@pytest.mark.parametrize("root", ["", "/a prefix"])
@pytest.mark.parametrize("media_type", ["application/json", "application/problem+json"])
def test_an_error_has_the_body_and_headers_of_the_applications_own(
    media_type: str, root: str
) -> None:
    own = from_the_application("/nowhere", media_type, root)
    assert own.headers["Content-Type"] == media_type
    code, detail = "not_found", own.json["detail"]
    refuse = problem(code, detail, "req-1")
    environ = {"SCRIPT_NAME": root}
    answer = Request.blank("/nowhere", environ=environ, accept=media_type).get_response(refuse)
    (link,) = own.json["errors"][0]["links"]
    assert link == {"rel": "help", "href": f"{quote(root)}/v1/docs/errors#not_found"}
    assert answer.status_int == own.status_int
    assert answer.json == own.json
    assert dict(answer.headers) == dict(own.headers)


def test_extra_members_and_headers_are_added() -> None:
    refuse = problem(
        "rate_limited", "Slow down.", "req-1", extra={"limit": 3}, headers={"Retry-After": "1"}
    )
    assert refuse.status_line == "429 Too Many Requests"
    assert ("Retry-After", "1") in refuse.headers
    assert json.loads(refuse.body)["errors"][0]["limit"] == 3
    assert STATUS["rate_limited"][0] == refuse.status
