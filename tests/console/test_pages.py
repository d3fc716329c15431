"""The console's pages in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from factstore.cmd.processes.accounts import PERSONAS
from factstore.cmd.processes.keystone import KeystoneServer
from factstore.cmd.processes.ports import free_port, is_free
from factstore.cmd.processes.process import Child
from tests.cases import cases
from tests.console.chromium import Page
from tests.console.contents import MARKUP, VIEWS, at, fill
from tests.eventually import eventually
from tests.examples.browser import browser
from tests.http import Caller, fresh_stack
from tests.proxies.serving import apache
from tests.relay import Relay
from tests.service import ApiServer

pytestmark = pytest.mark.skipif(browser() is None, reason="there is no Chromium")


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
        ".observe(document.querySelector('.detail'),"
        " {childList: true, characterData: true, subtree: true})); 0"
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


OPERATED = "main a, main button, main summary, main input, main [tabindex]"
"""The elements that people press or focus."""


def test_what_people_press_or_focus_stays_while_data_arrive(
    page: Page, console: ApiServer, api: Caller
) -> None:
    stack = fill(api, "x")
    base = f"/v1/stacks/{stack}"
    action = f"actions/{api.get(f'{base}/actions').json()['actions'][0]['id']}/results/c1"
    cursor = api.get(f"{base}/facts").json()["cursor"]
    waits = {"group": "script", "depends_on": ["c1/other"]}
    # A view, a part of it that appears last, a change, and a text that appears because of it.
    changes = (
        ("facts/nodes/c1/ip", ".timeline .diff", "facts/nodes/c1/ip", {"value": "new"}, '"new"'),
        ("members/c1", ".detail li a", "facts/nodes/c1/a", {"value": 1}, "Facts (3)"),
        ("members/c1", ".detail code", "members/c1/heartbeat", {"applied": cursor}, cursor),
        ("waiters", ".cards button", "facts/nodes/c1/ready", {"value": "x"}, "1 of 2"),
        ("alarms", ".cards button", "facts/nodes/c1/load", {"value": 0.75}, "0.75"),
        ("configurations", "button.run", "configurations/c1/more", {"group": "script"}, "more:"),
        ("actions", ".cards button", action, {"state": "complete"}, "1 of 2"),
        ("turns", ".cards li a", "turns/rolling/head", {"max_parallel": 1}, "head"),
        ("", "details.card summary", "configurations/c2/more", waits, "7 waits"),
    )
    page.open(at(console.url, "stacks", stack))
    page.wait("document.querySelector('#connection').dataset.state === 'live'")
    with cases() as case:
        for view, part, path, body, shown in changes:
            with case(f"{view}: {path}"):
                page.js(f"location.hash = '#/stacks/{stack}/{view}'")
                page.wait(f"document.querySelector({part!r})")
                assert shown not in page.text()
                page.js(
                    "for (const each of document.querySelectorAll('details')) each.open = true;"
                    f"window.noted = [...document.querySelectorAll({OPERATED!r})]; 0"
                )
                method = "POST" if path.endswith("heartbeat") else "PUT"
                answer = api(method, f"{base}/{path}", json=body)
                assert answer.ok, answer.text
                page.shows(shown)
                assert page.js("noted.filter((e) => !e.isConnected).map((e) => e.outerHTML)") == []
                assert page.js("document.querySelectorAll('details:not([open])').length") == 0


def test_a_press_selects_the_row_below_it_although_rows_move(
    page: Page, console: ApiServer, api: Caller
) -> None:
    stack = fresh_stack()
    facts = f"/v1/stacks/{stack}/facts"
    api.put(f"{facts}/first", 0)
    page.open(at(console.url, "stacks", stack, "events"))
    page.wait("document.querySelector('#connection').dataset.state === 'live'")
    page.shows("No event has arrived")
    api.put(f"{facts}/pressed", 0)
    page.shows("pressed = 0")
    place = page.place(".virtual .row")
    page.mouse("mousePressed", place)
    for number in range(3):
        api.put(f"{facts}/later{number}", number)
    page.shows("later2 = 2")
    page.mouse("mouseReleased", place)
    page.wait("document.querySelector('.detail pre').textContent.includes('\"path\": \"pressed\"')")


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


def test_the_parts_compute_what_they_promise(page: Page, console: ApiServer) -> None:
    page.open(at(console.url))
    page.wait("document.querySelector('main .page')")
    found = page.js(Path(__file__).with_name("parts.js").read_text())
    assert not found, "\n".join(found)
