"""The console for people who use a keyboard, a screen reader or a phone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import axe_core_python
import pytest

from factstore.console.files import files
from tests.cases import cases
from tests.console.chromium import Page
from tests.console.contents import VIEWS, at
from tests.examples.browser import browser
from tests.http import Caller
from tests.service import ApiServer

pytestmark = pytest.mark.skipif(browser() is None, reason="there is no Chromium")

AXE = Path(axe_core_python.__file__).with_name("axe.min.js")


EVERYTHING = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
COLOURS = {"type": "rule", "values": ["color-contrast"]}  # only these differ between light and dark


def faults(
    page: Page, axe: str, rules: object = EVERYTHING, within: str = "html"
) -> list[list[str]]:
    """Return what axe-core finds in an element, of WCAG 2.1 A and AA."""
    if page.js("typeof axe") == "undefined":
        page.js(f"{axe}; 0")
    found = page.js(
        f"axe.run({json.dumps(within)}, {{runOnly: {json.dumps(rules)}, resultTypes: ['violations']}})"
        ".then((found) => JSON.stringify(found.violations.map((each) =>"
        " [each.id, each.nodes.slice(0, 3).map((node) => [node.html, node.failureSummary])])))"
    )
    return list(json.loads(found))


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
            with case(f"{url} scrolls its lists and not the page"):
                higher = page.js("document.documentElement.scrollHeight - innerHeight")
                assert higher <= 0 or not page.js("Boolean(document.querySelector('.virtual'))")
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


DIALOGS = (
    ("", ".page button", "Create stack"),
    ("stacks/{}", ".page button", "Delete stack"),
    ("stacks/{}/facts", ".bar-top button", "Add fact"),
    ("stacks/{}/facts/config/mode", ".detail button", "Edit"),
    ("stacks/{}/facts/config/mode", ".detail button", "Delete"),
    ("stacks/{}/members/c1", ".detail button", "Actions"),
    ("stacks/{}/members/c1", ".detail button", "Why it ran"),
    ("stacks/{}/members/c1", ".detail button", "Remove"),
    ("stacks/{}/waiters", ".cards button", "Delete"),
    ("stacks/{}/alarms", ".cards button", "Delete"),
    ("stacks/{}/configurations", "button.run", None),
    ("stacks/{}/actions", ".cards button", "Results"),
    ("stacks/{}/actions", ".cards button", "Cancel"),
    ("subscriptions", ".cards button", "Deliveries"),
)
"""Each dialog: its page, and the button that opens it."""


def test_no_dialog_has_faults_of_accessibility(
    page: Page, console: ApiServer, api: Caller, stack: str
) -> None:
    calls = [re.findall(r"\b(?:dialog|confirm)\(", text) for text in sources("views/")]
    assert len(DIALOGS) == sum(len(found) for found in calls)
    axe, fact = AXE.read_text(), f"/v1/stacks/{stack}/facts/config/mode"
    body = {"name": "receiver", "target": "https://receiver.example.com/"}
    made = api.post("/v1/subscriptions", json=body).json()
    page.open(at(console.url))
    with cases() as case:
        for place, selector, text in DIALOGS:
            page.js(f"location.hash = {json.dumps('#/' + place.format(stack))}")
            page.click(selector, text)
            page.wait("document.querySelector('dialog')")
            with case(f"{place}: {text}"):
                check_dialog(page, axe)
            if text == "Edit":
                page.fill("dialog textarea", "mine")
                api.put(fact, json={"value": ["theirs"], "kind": "parameter"})
                page.click("dialog [type=submit]")
                page.shows("Somebody else has changed this fact")
                with case("two edits"):
                    check_dialog(page, axe)
            page.press("Escape")
            page.wait("!document.querySelector('dialog')")
    api.delete(f"/v1/subscriptions/{made['id']}")


def sources(folder: str) -> list[str]:
    """Return the texts of the console's modules in a folder."""
    return [file.content.decode() for name, file in files().items() if name.startswith(folder)]


def check_dialog(page: Page, axe: str) -> None:
    """Look for faults in the open dialog, of which all parts that can be opened are open."""
    page.js("for (const each of document.querySelectorAll('dialog details')) each.open = true")
    for scheme, rules in (("light", EVERYTHING), ("dark", COLOURS)):
        page.prefer(color_scheme=scheme)
        assert faults(page, axe, rules, "dialog") == [], scheme


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
