"""A real browser without a window, and the server of the pages that it opens.

Pages are watched from inside: the server adds a script to them that sends what they show.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WATCHER = """
<script>
  const name = new URLSearchParams(location.search).get("by");
  let sending = false, again = false;
  async function send() {
    again = true;
    if (sending) return;
    sending = true;
    while (again) {
      again = false;
      const shown = Object.fromEntries(
        [...document.querySelectorAll("[id]")].map((part) => [part.id, part.textContent]));
      await fetch(`/shown?by=${name}`, {method: "POST", body: JSON.stringify(shown)});
    }
    sending = false;
  }
  addEventListener("error", (event) => console.error(event.message));
  new MutationObserver(send).observe(document, {childList: true, subtree: true});
  send();
</script>
"""


def browser() -> str | None:
    """Return the program, which tools/system-packages installs where it can."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class _Handler(http.server.SimpleHTTPRequestHandler):
    pages: Pages
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if text := self.pages.texts.get(url.path):
            return self._answer(text.encode())
        return super().do_GET()

    def do_POST(self) -> None:
        (name,) = parse_qs(urlsplit(self.path).query)["by"]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.pages.shown[name] = json.loads(body)
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base names it
        pass


class Pages:
    """A server of a directory, with pages in place of some files, that records their content.

    :ivar texts: path to text of pages that are no files.
    :ivar shown: name (a page's query parameter ``by``) to the texts of its elements, by their id.
    """

    def __init__(self, directory: Path) -> None:
        self.texts: dict[str, str] = {}
        self.shown: dict[str, dict[str, str]] = {}
        handler = type("Handler", (_Handler,), {"pages": self})
        self._server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(handler, directory=str(directory))
        )
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def watch(self, path: str, text: str) -> None:
        """Serve a page that reports its content."""
        self.texts[path] = text + WATCHER

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Browser:
    """Show a page in Chromium until the context ends."""

    def __init__(self, url: str, directory: Path, flags: Sequence[str] = ()) -> None:
        program = browser()
        assert program is not None
        directory.mkdir(parents=True)
        self._command = [program, *FLAGS, f"--user-data-dir={directory / 'profile'}", *flags, url]
        self._log = directory / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, start_new_session=True
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
