"""The HTTP session below keystoneauth's, which takes no credentials from the machine."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
from keystoneauth1.session import TCPKeepAliveAdapter
from requests.utils import get_environ_proxies


class HttpSession(requests.Session):
    """A session that takes only proxies from the environment.

    requests itself sends a password of ``~/.netrc`` with each request that has no credentials of its
    own, and reads all variables again for each request, which takes a quarter of the client's time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        for scheme in ("http://", "https://"):
            self.mount(scheme, TCPKeepAliveAdapter())  # as keystoneauth's own session
        self._found: dict[str, dict[str, str]] = {}

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """Return the settings of a request, with the proxies for its host."""
        return super().merge_environment_settings(
            url, {**self._proxies(str(url)), **(proxies or {})}, stream, verify, cert
        )

    def _proxies(self, url: str) -> dict[str, str]:
        host = urlsplit(url)._replace(path="", query="", fragment="").geturl()
        if host not in self._found:
            self._found[host] = get_environ_proxies(url)
        return self._found[host]
