"""The healthchecks, with releases of oslo.middleware that compare the path of a request."""

from __future__ import annotations

from typing import Any

import pytest
import webob
import webob.dec
from oslo_config import cfg
from oslo_middleware import healthcheck

from factstore.wsgi.deploy import LIVE, READY, MountedHealthcheck


class Older:
    """Responds as releases before 8: only to the path ``/healthcheck``, and not to all addresses."""

    def __init__(self, app: Any, conf: object) -> None:
        self._app = app

    @webob.dec.wsgify
    def __call__(self, request: webob.Request) -> Any:
        if request.path != "/healthcheck" or request.remote_addr == "192.0.2.1":
            return self._app
        return "healthy"


@webob.dec.wsgify
def show_path(request: webob.Request) -> str:
    return str(request.path)


@pytest.mark.parametrize("path", [READY, LIVE])
@pytest.mark.parametrize("prefix", ["", "/contextualization"])
def test_a_healthcheck_responds_below_any_prefix(
    monkeypatch: pytest.MonkeyPatch, path: str, prefix: str
) -> None:
    monkeypatch.setattr(healthcheck, "Healthcheck", Older)
    check = MountedHealthcheck(show_path, cfg.ConfigOpts())
    request = webob.Request.blank(path, base_url=f"http://127.0.0.1{prefix}")
    assert request.get_response(check).text == "healthy"
    request.remote_addr = "192.0.2.1"
    assert request.get_response(check).text == f"{prefix}{path}"
