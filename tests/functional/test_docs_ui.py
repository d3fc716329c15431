"""The API's page: it is served whole, from here alone, and a browser shows it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from factstore.api import docs_ui
from factstore.api.error_remedies import REMEDIES
from factstore.api.errors import STATUS
from tests.cases import cases
from tests.http import Caller, fresh_stack, refused
from tests.service import ApiServer
from tests.structure.application import application

PAGE = "/v1/docs"
CHROMIUM = shutil.which("chromium")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom"),
)


def references(html: str) -> list[str]:
    return re.findall(r'(?:src|href)="([^"]*)"', html)


@pytest.mark.parametrize("root", ["", "/contextualization"])
def test_the_page_refers_only_to_files_of_this_service(api: Caller, root: str) -> None:
    named = references(api.get(PAGE).text)
    assert named
    where = {urljoin(f"https://facts.example{root}{PAGE}", name) for name in named}
    assert {urlsplit(url).netloc for url in where} == {"facts.example"}
    paths = {urlsplit(url).path for url in where}
    assert paths == {root + path for path in {*docs_ui.SWAGGER_PATHS, "/v1/openapi.json"} - {PAGE}}


def test_every_file_of_the_page_is_served_with_its_type_and_policy(api: Caller) -> None:
    for path in docs_ui.PATHS:
        answer = api.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 200
        assert answer.content
        kind = answer.headers["Content-Type"].partition(";")[0]
        assert kind in ("text/html", "text/javascript", "text/css", "image/png")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        policy = dict(
            part.strip().split(" ", 1)
            for part in answer.headers["Content-Security-Policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        again = api.get(path, headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304


def test_the_style_and_our_script_load_nothing_from_elsewhere(api: Caller) -> None:
    style = api.get(f"{PAGE}/swagger-ui.css").text
    assert "@import" not in style
    assert {url[:5] for url in re.findall(r"url\([\"']?([^)]+)", style)} == {"data:"}
    script = re.sub(r"//.*", "", api.get(f"{PAGE}/start.js").text)  # without its comments
    assert re.findall(r"\burl: (.*),", script) == ['"openapi.json"']
    assert "validatorUrl: null" in script


# What others need comes first. Some ids are not those of examples.
FIRST = ("stacks/{stack}", "facts/{path}", "members/{member}", "waiters/{waiter}")
WITH_AN_ID = ("{grant}", "{subscription}", "{configuration}/result", "{action}")


def test_every_example_of_a_body_is_accepted_as_it_is(api: Caller) -> None:
    document = api.get("/v1/openapi.json").json()
    assert "Try it out" in document["info"]["description"]

    def order(operation: tuple[str, str]) -> tuple[bool, int, str]:
        path, method = operation
        first = [path.endswith(each) for each in FIRST]
        return method != "put", first.index(True) if any(first) else len(FIRST), path

    operations = sorted(
        (
            (path, method)
            for path, item in document["paths"].items()
            for method, about in item.items()
            if "requestBody" in about
        ),
        key=order,
    )
    stack = fresh_stack()
    with cases() as case:
        for path, method in operations:
            if any(identifier in path for identifier in WITH_AN_ID):
                continue
            item = document["paths"][path]
            names = {each["name"]: each["example"] for each in item.get("parameters", ())}
            url = path.replace("{stack}", stack).format(**names)
            for kind, about in item[method]["requestBody"]["content"].items():
                example = about["example"]
                body = example if isinstance(example, str) else json.dumps(example)
                with case(f"{method} {path} {kind}"):
                    answer = api(method.upper(), url, data=body, headers={"Content-Type": kind})
                    assert answer.status_code in (200, 201, 204), answer.text
    api.delete(f"/v1/stacks/{stack}").raise_for_status()
    for made in api.get("/v1/subscriptions").json()["subscriptions"]:
        api.delete(f"/v1/subscriptions/{made['id']}").raise_for_status()


def test_each_error_links_to_what_to_do_about_it(api: Caller) -> None:
    entry = refused(api.get("/v1/stacks/none/facts?limit=x"), "400 query_invalid")
    url, _, place = entry["links"][0]["href"].partition("#")
    page = api.get(url).text
    title = re.escape(entry["title"])
    found = re.search(rf'<h2 id="{place}">.+\n<p>400: {title}. Correct the query parameter', page)
    assert found is not None
    assert re.findall(r'<h2 id="(.+?)"><code>contextualization\.\1</code>', page) == list(STATUS)
    assert REMEDIES.keys() == STATUS.keys()
    assert not re.findall("`|<p>[^<]*[^.]</p>", page)


def test_no_other_file_is_served_beside_the_page(api: Caller) -> None:
    for name in ("", "/", "/swagger-ui.js", "/LICENSE", "/../page.py", "/index.html"):
        refused(api.get(f"{PAGE}/x{name}"), "404 not_found")
        if name:
            refused(api.get(f"{PAGE}{name}"), "404 not_found")
    refused(api.get(f"{PAGE}?url=https://elsewhere.example/"), "400 query_invalid")


def test_without_its_package_there_is_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, docs_ui.PACKAGE, None)
    for path in docs_ui.SWAGGER_PATHS:
        answer = application().test_client().get(path)
        assert answer.status_code == 404
        assert "factstore with its extra 'page'" in answer.get_json()["detail"]


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_shows_every_operation_and_has_nothing_to_complain_about(
    one_worker: ApiServer, tmp_path: Path
) -> None:
    shown = subprocess.run(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path}", one_worker.url + PAGE],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    listed = re.findall(r'data-path="([^"]+)"', shown.stdout)
    assert listed[0].startswith("/v1/stacks/{stack}/facts"), "facts are not at the top"
    paths = set(listed)
    document = Caller(one_worker.url).get("/v1/openapi.json").json()
    assert paths == set(document["paths"])
    assert "CONSOLE" not in shown.stderr
