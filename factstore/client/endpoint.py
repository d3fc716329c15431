"""The endpoint: the service's URL, and the credential that is sent there."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

MICROVERSION = "1.0"


class Endpoint(ABC):
    """Where requests are sent, and with which credential."""

    @abstractmethod
    def url(self) -> str:
        """Return the root URL of the service; it may also end with ``/v1``."""

    @abstractmethod
    def credential(self) -> Mapping[str, str]:
        """Return the headers that authenticate a request."""

    def renew(self) -> bool:
        """Discard a credential that the service has rejected, and return True if there is another."""
        return False


class FixedEndpoint(Endpoint):
    """A URL, with a user and a password or without authentication."""

    def __init__(self, url: str, basic: tuple[str, str] | None = None) -> None:
        self._url = url
        self._credential = {} if basic is None else basic_credential(*basic)

    def url(self) -> str:
        """Return the root URL of the service."""
        return self._url

    def credential(self) -> Mapping[str, str]:
        """Return the header with user and password, if there are any."""
        return self._credential


def basic_credential(user: str, password: str) -> dict[str, str]:
    """Return the header of HTTP Basic authentication."""
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def split_user(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return a URL without the user and the password in it, and both."""
    parts = urlsplit(url)
    if parts.username is None:
        return url, None
    place = parts.netloc.rpartition("@")[2]
    pair = (unquote(parts.username), unquote(parts.password or ""))
    return parts._replace(netloc=place).geturl(), pair
