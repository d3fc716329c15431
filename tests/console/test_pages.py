"""The console's pages in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axe_core_python
import pytest

from factstore.cmd.processes.accounts import PERSONAS
from factstore.cmd.processes.keystone import KeystoneServer
from factstore.cmd.processes.ports import free_port, is_free
from factstore.cmd.processes.process import Child
from tests.cases import cases
from tests.console.chromium import Page
from tests.eventually import eventually
from tests.examples.browser import browser
from tests.http import Caller, fresh_stack
from tests.proxies.serving import apache
from tests.relay import Relay
from tests.service import ApiServer

pytestmark = pytest.mark.skipif(browser() is None, reason="there is no Chromium")

VIEWS = (
    *("", "facts", "facts/nodes/c1/ip", "members", "members/c1", "waiters", "alarms"),
    *("configurations", "actions", "turns", "events"),
)
MARKUP = "<img src=x onerror=window.hit=1><script>window.hit=1</script>"
AXE = Path(axe_core_python.__file__).with_name("axe.min.js")


@pytest.fixture(scope="module")
def api(console: ApiServer) -> Iterator[Caller]:
    with Caller(console.url) as caller:
        yield caller


def at(server: str, *names: str) -> str:
    """Return the URL of a page of the console."""
    return f"{server}/console/#/{'/'.join(names)}"


def fill(api: Caller, text: str) -> str:
    """Make a stack with something of every kind, and a text wherever one can be; return its name."""
    stack = fresh_stack()
    base = f"/v1/stacks/{stack}"

    def put(path: str, body: object) -> Any:
        answer = api("PUT", base + path, json=body)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    put("", {"description": text, "keep_values": 5})
    for name, group in (("head", "head"), ("c1", "compute"), ("c2", "compute")):
        put(f"/members/{name}", {"group": group, "ttl": 3600, "attributes": {text: [text]}})
        put(f"/facts/nodes/{name}/ip", {"value": text})
    put("/facts/nodes/c1/ip", {"value": {text: [1, text]}, "kind": "observed"})
    put("/facts/config/key", {"value": text, "sensitive": True})
    put("/facts/config/mode", {"value": text, "kind": "parameter"})
    every = {"every_member": {"group": "compute", "fact": "ready", "equals": text, "at_least": 1}}
    put("/waiters/cluster", {"success": every, "timeout": 3600})
    put("/waiters/signals", {"success": {"signals": 1}, "failure": None})
    failed = {"status": "FAILURE", "reason": text, "data": text, "id": text}
    api.post(f"{base}/waiters/signals/signal", json=failed).raise_for_status()
    put("/alarms/load", {"condition": {"facts": "nodes/*/ip", "equals": text}})
    put(
        "/alarms/average",
        {
            "condition": {
                "aggregate": {"function": "avg", "fact": "load", "group": "compute", "at_least": 1}
            }
        },
    )
    put("/facts/nodes/c1/load", {"value": 0.5})
    made = put(
        "/configurations/c1/app", {"group": "script", "config": text, "options": {text: text}}
    )
    put(
        "/configurations/c1/app/result",
        {
            "id": made["id"],
            "state": "failed",
            "status_code": 1,
            "stdout": text,
            "stderr": text,
            "reason": text,
            "message": text,
            "outputs": {text: text},
        },
    )
    put("/configurations/c2/app", {"group": "script", "depends_on": ["c1/app"]})
    action = api.post(
        f"{base}/actions", json={"hook": "script", "config": text, "group": "compute"}
    )
    assert action.ok, action.text
    put("/turns/rolling/c1", {"max_parallel": 1})
    put("/turns/rolling/c2", {"max_parallel": 1})
    return stack


@pytest.fixture(scope="module")
def stack(api: Caller) -> str:
    """A stack with something of every kind, of which every text is markup."""
    return fill(api, MARKUP)


def test_a_change_is_shown_at_once_with_its_history(
    page: Page, console: ApiServer, api: Caller
) -> None:
    stack = fresh_stack()
    facts = f"/v1/stacks/{stack}/facts"
    api.put(f"{facts}/nodes/head/ip", "10.0.0.5")
    page.open(at(console.url, "stacks", stack, "facts", "nodes/head/ip"))
    page.shows("10.0.0.5")
    page.wait("document.querySelector('#connection').dataset.state === 'live'")
    # The page itself notes when the new value appears, so nothing is missed between two looks.
    page.js(
        "window.seen = new Promise((resolve) => new MutationObserver(() =>"
        " document.querySelector('.detail .value')?.textContent.includes('10.0.0.9') && resolve(true))"
        ".observe(document.querySelector('.detail'), {childList: true, subtree: true})); 0"
    )
    api.put(f"{facts}/nodes/head/ip", "10.0.0.9")
    api.put(f"{facts}/nodes/new/ip", 9007199254740993)
    assert page.js("window.seen") is True
    page.shows("9007199254740993")  # and not the nearest number that JavaScript has
    page.wait("document.querySelectorAll('.timeline li').length === 2")
    page.wait("document.querySelector('.diff .removed').textContent.includes('10.0.0.5')")
    api.delete(f"{facts}/nodes/head/ip")
    page.shows("This fact does not exist now.")
    page.wait("document.querySelectorAll('.timeline li').length === 3")
    api.delete(f"/v1/stacks/{stack}")
    page.shows("The stack was deleted.")


def test_of_two_edits_neither_is_lost_unseen(page: Page, console: ApiServer, api: Caller) -> None:
    stack = fresh_stack()
    fact = f"/v1/stacks/{stack}/facts/mode"
    api.put(fact, json={"value": "old", "kind": "parameter"})
    page.open(at(console.url, "stacks", stack, "facts", "mode"))
    page.click(".detail button", "Edit")
    page.fill("dialog textarea", "mine")
    api.put(fact, json={"value": "theirs", "kind": "parameter"})
    page.shows("has changed this fact meanwhile")
    page.click("dialog [type=submit]")
    page.shows("Somebody else has changed this fact")
    page.wait("document.querySelector('.sides').innerText.includes('\"theirs\"')")
    page.wait("document.querySelector('.sides').innerText.includes('\"mine\"')")
    assert api.get(fact).json()["value"] == "theirs"
    page.click("dialog button", "Replace with yours")
    page.wait("!document.querySelector('dialog')")
    assert (api.get(fact).json()["value"], api.get(fact).json()["kind"]) == ("mine", "parameter")
    page.wait("document.querySelector('.detail .value').innerText === '\"mine\"'")
    page.click(".detail button", "Edit")
    page.fill("dialog textarea", "[1.0, 9007199254740993")
    page.click("dialog [type=submit]")
    page.shows("This is not JSON")
    page.fill("dialog textarea", "[1.0, 9007199254740993]")
    api.delete(fact)
    page.shows("This fact was deleted meanwhile.")
    page.click("dialog [type=submit]")
    page.shows("Somebody else has deleted this fact")
    page.click("dialog button", "Create it again")
    page.wait("!document.querySelector('dialog')")
    assert api.get(fact).text.count("[1.0,9007199254740993]") == 1
    page.click(".detail button", "Delete")
    page.click("dialog button", "Delete")
    page.wait("!document.querySelector('dialog')")
    assert api.get(fact).status_code == 404


NOTED = """[...document.querySelectorAll(".virtual .row")].find(
    (each) => each.textContent.includes("nodes/c1/note"))"""
"""The event of that fact; there can be others, such as that the stack is stuck."""


def test_no_text_of_anybody_becomes_markup(
    page: Page, console: ApiServer, api: Caller, stack: str
) -> None:
    subscription = {"name": MARKUP, "target": "https://receiver.example.com/<b>"}
    made = api.post("/v1/subscriptions", json={**subscription, "target": "https://r.example.com/b"})
    places = [at(console.url, "stacks", stack, *view.split("/")) for view in VIEWS]
    texts = ""
    with cases() as case:
        for url in (at(console.url), at(console.url, "subscriptions"), *places):
            with case(url):
                page.open(url)
                page.wait("document.querySelector('main .page')")
                page.wait("document.querySelector('main').innerText.length > 20")
                if "/stacks/" in url:
                    page.wait("document.querySelector('#connection').dataset.state === 'live'")
        for button in ("Results", "Deliveries"):
            with case(button):
                view = "actions" if button == "Results" else ""
                page.open(
                    at(console.url, "stacks", stack, view)
                    if view
                    else at(console.url, "subscriptions")
                )
                page.click("main button", button)
                page.wait("document.querySelector('dialog')")
                page.press("Escape")
        with case("a configuration"):
            page.open(at(console.url, "stacks", stack, "configurations"))
            page.click("button.run")
            page.wait("document.querySelector('dialog')")
            texts += page.text()
            page.press("Escape")
        with case("the reasons of a run"):
            cursor = api.get(f"/v1/stacks/{stack}/facts").json()["cursor"]
            api.post(f"/v1/stacks/{stack}/members/c1/heartbeat", json={"applied": cursor})
            page.open(at(console.url, "stacks", stack, "members", "c1"))
            page.click(".detail button", "Why it ran")
            page.wait("document.querySelector('dialog .timeline li')")
            page.shows("stated no other change as the cause")
            page.press("Escape")
        with case("a sensitive value"):
            page.open(at(console.url, "stacks", stack, "facts", "config", "key"))
            page.click(".detail button", "Show value")
            page.shows(MARKUP)
        with case("an event"):
            page.open(at(console.url, "stacks", stack, "events"))
            page.wait("document.querySelector('#connection').dataset.state === 'live'")
            page.shows("Pause")  # the view is that of the events by now
            api.put(f"/v1/stacks/{stack}/facts/nodes/c1/note", MARKUP)
            page.wait(f"{NOTED} !== undefined")
            page.js(f"{NOTED}.click()")
            page.shows(MARKUP)
    assert texts.count(MARKUP) >= 4
    assert page.js("window.hit") is None
    assert page.js("document.querySelectorAll('img, main script, dialog script').length") == 0
    api.delete(f"/v1/subscriptions/{made.json()['id']}")


def sign_in(page: Page, keystone: KeystoneServer, persona: str) -> None:
    who = PERSONAS[persona]
    page.fill("[name=user]", who.username)
    page.fill("[name=password]", keystone.accounts.password(persona))
    page.fill("[name=project]", who.project)
    page.press("Enter")


def test_people_sign_in_and_return_to_their_page_after_the_session_has_ended(
    page: Page, guarded: ApiServer, keystone: KeystoneServer
) -> None:
    stack = fresh_stack()
    with Caller(guarded.url, {"X-Auth-Token": keystone.accounts.issue("owner")}) as owner:
        owner.put(f"/v1/stacks/{stack}/facts/a", "first").raise_for_status()
        page.open(at(guarded.url, "stacks", stack, "facts", "a"))
        page.fill("[name=user]", "nobody")
        page.fill("[name=password]", "wrong")
        page.fill("[name=project]", "nothing")
        page.press("Enter")
        page.shows("Keystone does not accept this user and password for this project.")
        sign_in(page, keystone, "owner")
        page.shows("first")
        assert page.js("document.cookie") == ""
        (cookie,) = page.call("Network.getCookies")["cookies"]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        keystone.accounts.revoke(cookie["value"])
        page.click(".detail button", "Edit")  # of a session that ends while somebody edits
        page.fill("dialog textarea", "second")
        again = "fetch('/v1/stacks', {headers: {'Factstore-Console': '1'}})"
        page.wait(f"{again}.then((answer) => answer.status === 401)")
        page.click("dialog [type=submit]")
        page.shows("Your session has ended.")
        page.press("Escape")
        sign_in(page, keystone, "reader")
        page.shows("first")
        page.wait("![...document.querySelectorAll('button')].some((e) => e.textContent === 'Edit')")
        page.click("header button", "Sign out")
        page.wait("document.querySelector('.sign-in')")
        assert page.call("Network.getCookies")["cookies"] == []
        page.click("button", "Use a token")
        page.fill("[name=token]", keystone.accounts.issue("owner"))
        page.click("[type=submit]")
        page.shows("first")


PREFIXED = """
<Location "/contextualization">
    ProxyPass "{url}" disablereuse=on flushpackets=on nocanon
    ProxyAddHeaders Off
    RequestHeader set X-Forwarded-Proto http
    RequestHeader set X-Forwarded-Host "127.0.0.1:{port}"
    RequestHeader set X-Forwarded-Prefix /contextualization
    RequestHeader unset X-Forwarded-For
</Location>
"""
"""The service below a prefix, as devstack's web server has it."""


def test_the_console_works_below_a_prefix_that_a_proxy_adds(
    page: Page, guarded: ApiServer, keystone: KeystoneServer, tmp_path: Path
) -> None:
    port, site, web = free_port(), tmp_path / "site.conf", Child("apache")
    site.write_text(PREFIXED.format(url=guarded.url, port=port))
    command = apache(tmp_path, port, site, ["watchdog", "headers", "proxy_http"])
    web.start(command, log_path=tmp_path / "proxy.log")
    try:
        root = f"http://127.0.0.1:{port}/contextualization"
        eventually(lambda: not is_free(port))
        page.open(f"{root}/console")  # without the slash at its end
        sign_in(page, keystone, "owner")
        page.shows("Create stack")
        assert page.js("location.pathname") == "/contextualization/console/"
        (cookie,) = page.call("Network.getCookies")["cookies"]
        assert cookie["path"] == "/contextualization/"
        stack = fresh_stack()
        with Caller(root, {"X-Auth-Token": cookie["value"]}) as owner:
            owner.put(f"/v1/stacks/{stack}/facts/a", "first").raise_for_status()
            page.open(at(root, "stacks", stack, "facts", "a"))
            page.wait("document.querySelector('#connection').dataset.state === 'live'")
            page.click(".detail button", "Edit")
            page.fill("dialog textarea", "second")
            page.click("dialog [type=submit]")
            page.wait("document.querySelectorAll('.timeline li').length === 2")
            assert owner.get(f"/v1/stacks/{stack}/facts/a").json()["value"] == "second"
        page.click("header button", "Sign out")
        page.wait("document.querySelector('.sign-in')")
        assert page.call("Network.getCookies")["cookies"] == []
    finally:
        web.terminate(5)


def test_after_a_loss_of_the_network_no_event_is_missing(
    page: Page, console: ApiServer, api: Caller
) -> None:
    stack = fresh_stack()
    facts = f"/v1/stacks/{stack}/facts"
    api.put(f"{facts}/first", 0)
    with Relay(console.url) as relay:
        page.open(at(relay.endpoint, "stacks", stack, "events"))
        page.wait("document.querySelector('#connection').dataset.state === 'live'")
        for number in range(3):
            api.put(f"{facts}/before{number}", number)
        page.shows("3 events")
        relay.cut()
        page.wait("document.querySelector('#connection').dataset.state === 'lost'")
        for number in range(20):
            api.put(f"{facts}/meanwhile{number}", number)
        relay.mend()
        page.shows("23 events")
        api.put(f"{facts}/after", 1)
        page.shows("24 events")
    shown = page.text()
    names = [f"meanwhile{number}" for number in range(20)]
    assert [name for name in names if f"{name} = " not in shown] == []
    assert "reset" not in shown


def test_the_pages_fit_a_phone_and_have_no_faults_of_accessibility(
    page: Page, console: ApiServer, stack: str
) -> None:
    views = [at(console.url, "stacks", stack, *view.split("/")) for view in VIEWS]
    axe = AXE.read_text()
    with cases() as case:
        for number, url in enumerate((at(console.url), at(console.url, "subscriptions"), *views)):
            page.prefer(color_scheme="dark" if number % 2 else "light")
            page.open(url)
            page.wait("document.querySelector('main .page')")
            if "/stacks/" in url:
                page.wait("document.querySelector('#connection').dataset.state === 'live'")
                page.wait(
                    "/ of /.test(document.querySelector('[data-figure=converged]').textContent)"
                )
            page.js("new Promise((resolve) => setTimeout(resolve, 0))")
            with case(f"{url} on a phone"):
                page.resize(360, 740, mobile=True)
                page.wait("innerWidth === 360")
                wide = page.js(
                    "[...document.querySelectorAll('body *')].filter((e) => e.clientWidth"
                    " && !e.closest('.tabs, pre, table') && e.getBoundingClientRect().right > 361)"
                    ".map((e) => e.className + e.textContent.slice(0, 40))"
                )
                assert wide == []
                assert page.js("document.documentElement.scrollWidth") <= 360
                page.resize(1280, 800)
                page.wait("innerWidth === 1280")
            for scheme, rules in (("light", EVERYTHING), ("dark", COLOURS)):
                page.prefer(color_scheme=scheme)
                with case(f"{url} {scheme}"):
                    assert faults(page, axe, rules) == []
    # The search itself works: it finds a text that is too pale, and a button without a name.
    page.js(
        "(() => { const pale = document.createElement('p'); pale.textContent = 'pale';"
        " pale.style.color = '#777'; pale.style.background = '#888';"
        " document.querySelector('main').append(pale, document.createElement('button')); })()"
    )
    assert {each[0] for each in faults(page, axe)} == {"color-contrast", "button-name"}


EVERYTHING = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
COLOURS = {"type": "rule", "values": ["color-contrast"]}  # only these differ between light and dark


def faults(page: Page, axe: str, rules: object = EVERYTHING) -> list[list[str]]:
    """Return what axe-core finds, of WCAG 2.1 A and AA."""
    if page.js("typeof axe") == "undefined":
        page.js(f"{axe}; 0")
    found = page.js(
        f"axe.run(document, {{runOnly: {json.dumps(rules)}, resultTypes: ['violations']}})"
        ".then((found) => JSON.stringify(found.violations.map((each) =>"
        " [each.id, each.nodes.slice(0, 3).map((node) => [node.html, node.failureSummary])])))"
    )
    return list(json.loads(found))


def test_the_keyboard_is_enough(page: Page, console: ApiServer, stack: str) -> None:
    page.open(at(console.url, "stacks", stack, "facts"))
    page.shows("facts")
    page.wait("document.querySelector('[role=treeitem]')")
    reached = []
    for _ in range(30):
        page.press("Tab")
        reached.append(
            page.js(
                "document.activeElement.getAttribute('role') || document.activeElement.textContent"
            )
        )
        if reached[-1] == "tree":
            break
    assert reached[0] == "Skip to the content"
    assert reached[-1] == "tree"
    active = "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))"
    assert page.js(f"{active}.textContent").endswith("config2")
    page.press("ArrowLeft")  # closes the folder
    page.wait(f"{active}.getAttribute('aria-expanded') === 'false'")
    page.press("ArrowRight")
    page.wait(f"{active}.getAttribute('aria-expanded') === 'true'")
    page.press("ArrowDown")
    page.press("Enter")
    page.wait("location.hash.endsWith('/facts/config/key')")
    page.wait("document.querySelector('.detail h2').textContent === 'config/key'")
    page.click(".detail button", "Edit")
    page.wait("document.querySelector('dialog').contains(document.activeElement)")
    page.press("Escape")
    page.wait("!document.querySelector('dialog') && document.activeElement.textContent === 'Edit'")


def test_the_parts_compute_what_they_promise(page: Page, console: ApiServer) -> None:
    page.open(at(console.url))
    page.wait("document.querySelector('main .page')")
    found = page.js(Path(__file__).with_name("parts.js").read_text())
    assert not found, "\n".join(found)
