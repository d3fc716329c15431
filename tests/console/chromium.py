"""A Chromium without a window, driven over the DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import websocket

from tests.eventually import eventually
from tests.examples.browser import FLAGS, browser

KEYS = {
    "Enter": ("Enter", 13, "\r"),
    "Escape": ("Escape", 27, ""),
    "Tab": ("Tab", 9, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "Home": ("Home", 36, ""),
    "End": ("End", 35, ""),
}
# Keyframes of hidden pages are throttled; these pages are never in front.
_FLAGS = (
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--force-color-profile=srgb",
)


class PageError(Exception):
    """A script in a page, or a call of the protocol, has failed."""


class Chromium:
    """A browser; a context manager that runs it."""

    def __init__(self, directory: Path) -> None:
        program = browser()
        assert program is not None
        self._profile = directory / "profile"
        self._log = directory / "log"
        directory.mkdir(parents=True, exist_ok=True)
        flags = (*FLAGS, *_FLAGS, f"--user-data-dir={self._profile}")
        self._command = [program, *flags, "about:blank"]
        self._last = 0
        self._pages: dict[str, Page] = {}

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "TMPDIR": str(self._log.parent)},  # it leaves files there
            )
        try:
            port, path = eventually(self._address)
            self._socket = websocket.create_connection(f"ws://127.0.0.1:{port}{path}", timeout=60)
        except BaseException:
            self._kill()
            raise
        return self

    def _address(self) -> list[str] | None:
        file = self._profile / "DevToolsActivePort"
        lines = file.read_text().split() if file.exists() else []
        return lines if len(lines) == 2 else None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(Exception):
            self._socket.close()
        self._kill()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        """Call a method of the protocol and return its result."""
        self._last += 1
        request: dict[str, Any] = {"id": self._last, "method": method, "params": params}
        if session is not None:
            request["sessionId"] = session
        self._socket.send(json.dumps(request))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == request["id"]:
                if "error" in message:
                    raise PageError(f"{method}: {message['error']}")
                return message["result"]
            page = self._pages.get(message.get("sessionId", ""))
            if page is not None:
                page.take(message["method"], message["params"])

    def page(self, *, width: int = 1280, height: int = 800) -> Page:
        """Return a new page with cookies of its own."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)
        session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(self, session["sessionId"], context)
        self._pages[session["sessionId"]] = page
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        return page


class Page:
    """A page of a browser.

    :ivar errors: uncaught errors, and violations of the content security policy.
    """

    def __init__(self, chromium: Chromium, session: str, context: str) -> None:
        self._chromium = chromium
        self._session = session
        self._context = context
        self.errors: list[str] = []

    def take(self, method: str, params: Any) -> None:
        """Note what an event of the protocol says is wrong."""
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded" and params["entry"]["source"] in ("security", "violation"):
            self.errors.append(params["entry"]["text"])

    def call(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol for this page."""
        return self._chromium.call(method, self._session, **params)

    def close(self) -> None:
        """Close the page with its cookies."""
        self._chromium.call("Target.disposeBrowserContext", browserContextId=self._context)

    def open(self, url: str) -> None:
        """Begin to load a page."""
        self.call("Page.navigate", url=url)

    def js(self, expression: str) -> Any:
        """Return the value of an expression, which may be awaited."""
        found = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description", details["text"]))
        return found["result"].get("value")

    def wait(self, expression: str) -> Any:
        """Return the first truthy value of an expression."""
        try:
            return eventually(lambda: self._try(expression))
        except AssertionError:
            raise AssertionError(
                f"never true: {expression}\n{self.text()}\n{self.errors}"
            ) from None

    def _try(self, expression: str) -> Any:
        try:
            return self.js(f"Promise.resolve({expression}).then((e) => e instanceof Node || e)")
        except PageError as error:  # the page is being replaced
            if re.search("context|navigated|null", str(error)):
                return None
            raise

    def text(self) -> str:
        """Return what the page shows."""
        return str(self.js("document.body.innerText"))

    def shows(self, text: str) -> None:
        """Wait until the page shows a text."""
        self.wait(f"document.body?.innerText.includes({json.dumps(text)})")

    def click(self, selector: str, text: str | None = None) -> None:
        """Click the middle of an element, of several the first one with a text."""
        place = self.place(selector, text)
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, place)

    def place(self, selector: str, text: str | None = None) -> list[float]:
        """Return the middle of an element that does not move, of several the first one with a text."""
        found: list[float] = self.wait(
            f"""(async () => {{
              const found = [...document.querySelectorAll({json.dumps(selector)})].find((each) =>
                {json.dumps(text)} === null || each.textContent.trim() === {json.dumps(text)});
              if (!found || found.disabled) return null;
              found.scrollIntoView({{block: "nearest"}});
              const before = found.getBoundingClientRect();
              // What arrives can move it.
              await new Promise((done) => setTimeout(done, 100));
              const box = found.getBoundingClientRect();
              if (box.x !== before.x || box.y !== before.y) return null;
              return box.width ? [box.x + box.width / 2, box.y + box.height / 2] : null;
            }})()"""
        )
        return found

    def mouse(self, kind: str, place: list[float]) -> None:
        """Press or release the button of the mouse at a place."""
        x, y = place
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def fill(self, selector: str, text: str) -> None:
        """Replace the text of an input, as typing does."""
        self.wait(f"document.querySelector({json.dumps(selector)})")
        self.js(
            f"(() => {{ const field = document.querySelector({json.dumps(selector)});"
            "field.focus(); field.select(); })()"
        )
        self.call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Press a key."""
        name, code, text = KEYS[key]
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=name,
                code=name,
                windowsVirtualKeyCode=code,
                **more,
            )

    def resize(self, width: int, height: int, *, mobile: bool = False, scale: float = 1) -> None:
        """Set the size of the page."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=mobile,
        )

    def prefer(self, **features: str) -> None:
        """Set preferences, such as ``color_scheme="dark"``."""
        named = [
            {"name": f"prefers-{name.replace('_', '-')}", "value": value}
            for name, value in features.items()
        ]
        self.call("Emulation.setEmulatedMedia", features=named)

    def connect(self, *, online: bool) -> None:
        """Connect or disconnect the page's network."""
        self.call(
            "Network.emulateNetworkConditions",
            offline=not online,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )

    def screenshot(self, path: Path) -> None:
        """Write what the page shows into a file, as PNG."""
        path.write_bytes(
            base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        )
