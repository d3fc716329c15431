"""The picture of a stack, and a stack as large as they get, in a real browser."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.console.chromium import Page
from tests.console.contents import at
from tests.examples.browser import browser
from tests.grants import issue
from tests.http import Caller, fresh_stack
from tests.service import ApiServer

pytestmark = pytest.mark.skipif(browser() is None, reason="there is no Chromium")

LIVE = "document.querySelector('#connection').dataset.state === 'live'"
PIXELS = """
(() => {
  const canvas = document.querySelector('canvas.picture'), c = canvas.getContext('2d');
  const probe = new OffscreenCanvas(1, 1).getContext('2d');
  const count = ({data}, fits) => {
    let found = 0;
    for (let at = 0; at < data.length; at += 4) found += fits(data[at], data[at + 1], data[at + 2]);
    return found;
  };
  window.pixels = (kind) => {
    probe.fillStyle = getComputedStyle(canvas).getPropertyValue('--' + kind).trim();
    probe.fillRect(0, 0, 1, 1);
    const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
    return count(c.getImageData(0, 0, canvas.width, canvas.height),
      (...each) => each[0] === r && each[1] === g && each[2] === b);
  };
  window.blue = ({x, y}, size = 30) =>
    count(c.getImageData(x - size, y - size, 2 * size, 2 * size), (r, g, b) => b - r > 50);
})()
"""
"""Counts the pixels of the picture that have a colour of the page; or blue ones near a place, because
ripples fade."""


def join(api: Caller, base: str, *names: str) -> dict[str, str]:
    """Let members join, and return their generations."""
    body = {"group": "compute", "ttl": 3600}
    joined = {name: api.put(f"{base}/members/{name}", json=body) for name in names}
    return {name: answer.json()["generation"] for name, answer in joined.items()}


def places(page: Page, *names: str) -> dict[str, dict[str, float]]:
    """Return where members are drawn, as somebody finds out who moves from one to the next."""
    page.js("document.querySelector('canvas.picture').focus()")
    found = {}
    for _ in names:
        page.press("ArrowRight")
        shown = page.js(
            "(() => { const tip = document.querySelector('.tip'); return {name:"
            " tip.querySelector('strong').textContent, x: parseFloat(tip.style.left) - 12,"
            " y: parseFloat(tip.style.top) - 16}; })()"
        )
        found[shown.pop("name")] = shown
    page.press("Escape")
    assert found.keys() == set(names)
    return found


def test_a_circle_of_blocked_reads_is_red_until_somebody_breaks_it(
    page: Page, console: ApiServer, api: Caller
) -> None:
    base = f"/v1/stacks/{fresh_stack()}"
    join(api, base, "a", "b", "c")
    page.open(at(console.url, "stacks", base.rpartition("/")[2]))
    page.wait(LIVE)
    page.shows("Members: 3; groups: 1; converged: 0; waits: 0; circles: 0.")
    page.js(PIXELS)
    page.wait("pixels('busy') > 0")  # it is drawn in the next frame
    assert page.js("pixels('bad')") == 0
    with ThreadPoolExecutor(3) as pool:
        reading = []
        for name, path in (("a", "nodes/b/key"), ("b", "nodes/a/ip"), ("c", "nodes/a/ip")):
            with issue(api, base, name).caller(console.url) as agent:
                reading.append(pool.submit(agent.get, f"{base}/facts/{path}?wait=50"))
        page.wait("pixels('bad') > 20")
        page.shows("A circle of 2")
        page.shows("a waits for nodes/b/key, which b writes")
        page.shows("1 circle")
        api.put(f"{base}/facts/nodes/b/key", 1)
        page.wait("pixels('bad') === 0 && !document.body.innerText.includes('A circle of')")
        api.put(f"{base}/facts/nodes/a/ip", 1)
        assert [each.result().status_code for each in reading] == [200] * 3
    page.shows("waits: 0; circles: 0.")


def test_a_change_spreads_from_its_member_to_those_that_read_it(
    page: Page, console: ApiServer, api: Caller
) -> None:
    base = f"/v1/stacks/{fresh_stack()}"
    for name, generation in join(api, base, "a", "b", "c").items():
        reads = "nodes/a/ip" if name == "b" else "other"
        body = {"facts": [reads], "groups": [], "generation": generation}
        assert api.put(f"{base}/members/{name}/read_set", json=body).ok
    page.open(at(console.url, "stacks", base.rpartition("/")[2]))
    page.wait(LIVE)
    page.shows("Members: 3;")
    page.js(PIXELS)
    page.js(
        f"window.spots = {json.dumps(places(page, 'a', 'b', 'c'))}; window.seen = {{}};"
        "(function look() { for (const name in spots) seen[name] = Math.max(seen[name] ?? 0,"
        " blue(spots[name])); requestAnimationFrame(look); })()"
    )
    assert page.js("seen") == {"a": 0, "b": 0, "c": 0}
    api.put(f"{base}/facts/nodes/a/ip", "10.0.0.5")
    page.wait("seen.a > 20 && seen.b > 20")
    assert page.js("seen.c") == 0


def put_all(console: ApiServer, requests: Iterator[tuple[str, str, object]]) -> None:
    """Send requests, which must succeed, with less effort than a Caller."""
    connection = http.client.HTTPConnection(urlsplit(console.url).netloc, timeout=60)
    headers = {"Content-Type": "application/json"}
    for method, path, body in requests:
        connection.request(method, path, json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status < 300, text
    connection.close()


def large(base: str) -> Iterator[tuple[str, str, object]]:
    """Yield the requests for a stack with 1,000 members, of which each has ten facts."""
    for number in range(1000):
        group = "head" if number < 3 else "compute"
        yield "PUT", f"{base}/members/c{number}", {"group": group, "ttl": 3600}
    for number in range(0, 1000, 10):
        yield "POST", f"{base}/batch", {"operations": changes(range(number, number + 10), "v")}


def changes(members: range, value: str) -> list[dict[str, Any]]:
    """Return the operations that put ten facts of each member."""
    return [
        {"put": {"path": f"nodes/c{member}/options/o{n}", "value": f"{value}{member}-{n}"}}
        for member in members
        for n in range(10)
    ]


METERS = """
(() => {
  window.meters = {frames: 0, paints: 0};
  const clear = CanvasRenderingContext2D.prototype.clearRect;
  CanvasRenderingContext2D.prototype.clearRect = function (...place) {
    meters.paints += 1;
    return clear.apply(this, place);
  };
  (function frame() { meters.frames += 1; requestAnimationFrame(frame); })();
})()
"""
"""Counts frames, and how often the picture is drawn."""
ELEMENTS = "document.querySelectorAll('*').length"
MOST_ELEMENTS = 400


def busy_seconds(page: Page) -> float:
    """Return the processor time of the page's main thread."""
    found = page.call("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in found if each["name"] == "TaskDuration"))


def test_a_thousand_members_with_ten_thousand_facts_do_not_freeze_the_pages(
    page: Page, console: ApiServer, api: Caller
) -> None:
    stack = fresh_stack()
    base = f"/v1/stacks/{stack}"
    put_all(console, large(base))
    page.call("Performance.enable", timeDomain="threadTicks")
    page.open(at(console.url, "stacks", stack))
    page.shows("Members: 1000; groups: 2; converged: 0;")
    page.shows("10,000")
    assert page.js(ELEMENTS) < MOST_ELEMENTS
    page.js(METERS)
    page.js("document.querySelector('canvas.picture').focus()")
    before = busy_seconds(page)
    reached: list[str] = []
    # At least 3,000 changes, and more until the page has handled some keys.
    begins = takewhile(lambda at: at < 300 or len(reached) < 3, range(0, 990, 10))
    batches = ({"operations": changes(range(at, at + 10), "w")} for at in begins)
    flood = threading.Thread(
        target=put_all, args=(console, (("POST", f"{base}/batch", each) for each in batches))
    )
    flood.start()
    while flood.is_alive():
        page.press("ArrowRight")
        reached.append(page.js("document.querySelector('canvas.picture').dataset.over"))
    flood.join()
    page.press("Escape")
    # Keys are handled while 3,000 facts change, and the picture is drawn at most once in each frame.
    names = ["c0", "c1", "c2", *[f"c{number}" for number in range(3, 1000)]]
    assert len(reached) >= 3
    assert reached == names[: len(reached)]
    meters = page.js("meters")
    assert 0 < meters["paints"] <= meters["frames"] + 1
    assert (busy_seconds(page) - before) / meters["paints"] < 0.1
    check_lists(page, console, api, stack)
    page.click("main button", "Delete stack")
    page.click("dialog button", "Delete")
    page.wait("location.hash === '#/' && document.querySelector('h1').textContent === 'Stacks'")
    assert api.get(base).status_code == 404


def check_lists(page: Page, console: ApiServer, api: Caller, stack: str) -> None:
    """Look at the members and the facts, of which few are elements at a time."""
    page.open(at(console.url, "stacks", stack, "members"))
    page.shows("1,000 members")
    page.js("document.querySelector('.virtual').focus()")
    page.press("End")
    page.shows("c999")
    assert page.js(ELEMENTS) < MOST_ELEMENTS
    page.fill("[type=search]", "head")
    page.shows("3 of 1,000 members")
    page.open(at(console.url, "stacks", stack, "facts"))
    page.shows("10,000 facts")
    page.js("document.querySelector('.virtual').focus()")
    page.press("ArrowRight")
    page.wait("document.querySelectorAll('[role=treeitem]').length > 20")
    page.fill("[type=search]", "options c")
    page.shows("10,000 of 10,000 facts")
    page.js("document.querySelector('.virtual').focus()")
    page.press("End")
    page.shows("v999-9")
    assert page.js(ELEMENTS) < MOST_ELEMENTS
    page.fill("[type=search]", "c42/ W42-7")
    page.shows("1 of 10,000 facts")
    page.press("Tab")
    api.put(f"/v1/stacks/{stack}/facts/nodes/c42/options/o7", "w42-7 changed")
    page.shows("w42-7 changed")
