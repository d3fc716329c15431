"""Web pages on other origins, with Keystone: browsers send no token with what they ask beforehand."""

from __future__ import annotations

from pathlib import Path

from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from tests.http import Caller, refused
from tests.service import ApiServer

PAGE = "https://dashboard.example.org"


def test_a_page_is_asked_for_a_token_only_when_it_really_calls(
    etcd: EtcdServer, keystone: KeystoneServer, tmp_path: Path
) -> None:
    options = {"cors": {"allowed_origin": PAGE}}
    server = ApiServer(
        [etcd.endpoint], tmp_path, auth="keystone", keystone=keystone, options=options
    )
    asked = {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "x-auth-token,last-event-id",
    }
    with server, Caller(server.url, {"Origin": PAGE}) as page:
        before = page("OPTIONS", "/v1/stacks/a/events", headers=asked)
        called = page.get("/v1/stacks/a/events")
    assert before.ok
    assert before.headers["Access-Control-Allow-Origin"] == PAGE
    refused(called, "401 unauthorized")
    assert called.headers["Access-Control-Allow-Origin"] == PAGE
    assert "WWW-Authenticate" in called.headers["Access-Control-Expose-Headers"].split(",")
