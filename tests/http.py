"""Call the API over HTTP, and check the common form of its errors."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import requests

JSON = "application/json"
REQUEST_ID = "X-Openstack-Request-Id"
LONGEST_WAIT = 50
DETAIL = re.compile(r"[A-Z'\"]|etcd ")
"""The beginning of the detail of an error, which is a sentence, or begins with a quoted value."""


def fresh_stack() -> str:
    """Return an unused stack name."""
    return f"stack-{uuid.uuid4().hex[:12]}"


class Caller:
    """A client with persistent connections and without proxy and redirects. Paths begin with ``/``."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update(headers or {})

    def __call__(self, method: str, path: str, **more: Any) -> requests.Response:
        return self.session.request(
            method, self.url + path, timeout=LONGEST_WAIT + 10, allow_redirects=False, **more
        )

    def get(self, path: str, **more: Any) -> requests.Response:
        return self("GET", path, **more)

    def put(self, path: str, value: Any = None, **more: Any) -> requests.Response:
        """Put ``value`` as a fact, or send the body in ``more``."""
        if not more.keys() & {"json", "data"}:
            more["json"] = {"value": value}
        return self("PUT", path, **more)

    def post(self, path: str, **more: Any) -> requests.Response:
        return self("POST", path, **more)

    def delete(self, path: str, **more: Any) -> requests.Response:
        return self("DELETE", path, **more)

    def close(self) -> None:
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def check_refusal(
    status: int, headers: Mapping[str, str], body: Any, expected: str, media_type: str = JSON
) -> dict[str, Any]:
    """Return the single entry of an error response; ``headers`` ignore case.

    :param expected: status and code, as in ``404 not_found``.
    """
    assert isinstance(body, dict), f"{status}: {body!r}"
    entry: dict[str, Any] = body["errors"][0]
    found = f"{entry['status']} {entry['code'].removeprefix('contextualization.')}"
    assert found == expected, entry
    assert status == entry["status"]
    assert DETAIL.match(entry["detail"]), entry["detail"]
    assert headers["Content-Type"] == media_type
    assert len(body["errors"]) == 1
    assert entry["code"].startswith("contextualization.")
    assert entry["request_id"] == headers[REQUEST_ID] != ""
    assert headers["OpenStack-API-Version"] == "contextualization 1.0"
    assert entry["title"]
    assert entry["detail"]
    (link,) = entry["links"]
    assert (link["rel"], link["href"].rpartition("#")[2]) == ("help", expected.split()[1])
    # RFC 9457, and the message for openstacksdk
    assert body["type"] == f"urn:contextualization:error:{expected.split()[1]}"
    assert {name: body[name] for name in ("title", "status", "detail")}.items() <= entry.items()
    assert body["message"] == entry["detail"]
    return entry


def refused(answer: requests.Response, expected: str, media_type: str = JSON) -> dict[str, Any]:
    """See :func:`check_refusal`."""
    assert answer.status_code >= 400, f"{answer.status_code}: {answer.text[:500]}"
    return check_refusal(answer.status_code, answer.headers, answer.json(), expected, media_type)
