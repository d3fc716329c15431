"""A real browser lets a page on another origin use the whole API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.examples.browser import Browser, Pages, browser
from tests.http import fresh_stack
from tests.service import ApiServer

PAGE = """
<!doctype html>
<pre id="seen"></pre>
<script type="module">
  const stack = new URLSearchParams(location.search).get("stack"), seen = {};
  async function call(name, path, options, ...headers) {
    try {
      const answer = await fetch(stack + path, options);
      const read = headers.map((header) => answer.headers.get(header));
      seen[name] = [answer.status, ...read];
    } catch (error) {
      seen[name] = [String(error)];
    }
    return seen[name];
  }
  const text = {"Content-Type": "text/plain", "OpenStack-API-Version": "contextualization 1.0"};
  const put = {method: "PUT", body: "started", headers: {...text, "If-None-Match": "*"}};
  const [, etag] = await call("create", "/facts/a", put, "ETag", "Location", "Factstore-Cursor");
  await call("again", "/facts/a", put, "ETag", "X-Openstack-Request-Id");
  await call("change", "/facts/a",
    {method: "PUT", body: "stopped", headers: {...text, "If-Match": etag, "Idempotency-Key": "k"}});
  await call("same", "/facts/a", {method: "PUT", body: "stopped", headers: text},
    "Factstore-Unchanged", "OpenStack-API-Version");
  await call("missing", "/facts/b?wait=1", {}, "Retry-After");
  await call("resumed", "/events?since=0123456789abcdef.1",
    {headers: {"Last-Event-ID": "0123456789abcdef.1", "X-Auth-Token": "none"}});
  await call("context", "/context", {}, "ETag", "Factstore-Cursor");
  await call("delete", "/facts/a", {method: "DELETE"});
  await call("foreign", "/facts/a", {headers: {"X-Roles": "admin"}});
  document.querySelector("#seen").textContent = JSON.stringify(seen);
</script>
"""


@pytest.mark.skipif(browser() is None, reason="there is no Chromium")
def test_a_page_writes_and_reads_with_every_header_that_it_needs(
    etcd: EtcdServer, tmp_path: Path
) -> None:
    with Pages(tmp_path) as pages:
        options = {"cors": {"allowed_origin": pages.origin}}
        with ApiServer([etcd.endpoint], tmp_path / "api", options=options) as api:
            pages.watch("/", PAGE)
            url = f"{pages.origin}/?by=page&stack={api.url}/v1/stacks/{fresh_stack()}"
            with Browser(url, tmp_path / "browser"):
                shown = eventually(lambda: pages.shown.get("page", {}).get("seen"), 60)
    seen = json.loads(shown)
    assert seen.pop("foreign")[0].startswith("TypeError")  # the browser did not even ask
    etag = seen["create"][1]
    assert {name: status for name, (status, *_) in seen.items()} == {
        "create": 201,
        "again": 412,
        "change": 200,
        "same": 200,
        "missing": 404,
        "resumed": 410,
        "context": 200,
        "delete": 204,
    }
    assert all(all(read) for read in seen.values()), seen
    assert etag.startswith('"')
    assert seen["again"][1] == etag
    assert seen["same"][1] == "true"
