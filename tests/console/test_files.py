"""The console's files: whole, from here alone, and only for those who switch it on."""

from __future__ import annotations

import posixpath
import re
from importlib.util import find_spec
from pathlib import Path

from factstore.console.files import HEADERS, INDEX, ROOT, files
from tests.cases import cases
from tests.http import Caller, refused
from tests.service import ApiServer
from tests.structure.application import application

IMPORT = re.compile(r"""(?:from|import\()\s*"([^"]+)\"""")


def test_every_file_is_served_with_its_type_and_policy(console: ApiServer) -> None:
    with Caller(console.url) as caller, cases() as case:
        for name, file in files().items():
            path = f"{ROOT}/{'' if name == INDEX else name}"
            for accept in ("text/html", "image/png", "*/*"):
                with case(f"{path} {accept}"):
                    answer = caller.get(path, headers={"Accept": accept})
                    assert answer.status_code == 200
                    assert answer.content == file.content
                    assert answer.headers["Content-Type"] == file.media_type
                    assert HEADERS.items() <= dict(answer.headers).items()
                    assert "unsafe" not in answer.headers["Content-Security-Policy"]
                    known = {"If-None-Match": answer.headers["ETag"]}
                    assert caller.get(path, headers=known).status_code == 304
                    assert caller("HEAD", path).headers["Content-Length"] == str(len(file.content))


def test_the_files_refer_only_to_each_other() -> None:
    names = set(files())
    assert {Path(name).suffix for name in names} == {".html", ".js", ".css", ".svg"}
    used = {INDEX}
    for name, file in files().items():
        text = file.content.decode()
        # No markup is made of texts, nothing is inline, and nothing comes from elsewhere.
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b", text)
        assert not re.search(r"<[^>]*\s(?:style|on\w+)\s*=", text), name
        assert set(re.findall(r"https?://[\w.]+", text)) <= {"http://www.w3.org"}, name
        found = re.findall(r'(?:src|href)="([^"#]+)"', text) if name == INDEX else []
        found += IMPORT.findall(text) if name.endswith(".js") else []
        directory = posixpath.dirname(name)
        for reference in found:
            used.add(posixpath.normpath(posixpath.join(directory, reference)))
    assert used == names


def test_modules_of_the_console_are_short() -> None:
    assert not [name for name, file in files().items() if file.content.count(b"\n") > 300]


def test_the_console_is_strict(console: ApiServer) -> None:
    with Caller(console.url) as caller:
        for name in ("x", "index.html", "views", "views/", "main.js/", "/", "lib"):
            refused(caller.get(f"{ROOT}/{name}"), "404 not_found")
        refused(caller.get(f"{ROOT}/views%2Ffacts.js"), "400 path_invalid")
        for path in (ROOT, f"{ROOT}/", f"{ROOT}/main.js"):
            for method in ("PUT", "POST", "PATCH", "DELETE", "TRACE", "BREW"):
                answer = caller(method, path)
                refused(answer, "405 method_not_allowed")
                assert {"GET", "HEAD"} <= set(answer.headers["Allow"].split(", "))
            refused(caller.get(f"{path}?x=1"), "400 query_invalid")
            refused(caller.get(f"{path}?x=1&x=1"), "400 ambiguous")
            refused(caller.get(path, headers={"If-Match": '"1"'}), "400 header_invalid")
        refused(caller.get(f"{ROOT}/", headers={"If-None-Match": "x"}), "400 etag_invalid")
        assert caller.get(ROOT).headers["Location"] == "console/"


def test_without_authentication_everybody_is_signed_in(console: ApiServer) -> None:
    with Caller(console.url) as caller:
        found = caller.get(f"{ROOT}/session").json()
        assert (found["auth"], found["user"]) == ("none", "anybody")
        assert "put_fact" in found["allowed"]
        refused(caller.post(f"{ROOT}/session", json={"token": "x"}), "404 not_found")
        refused(caller.delete(f"{ROOT}/session"), "404 not_found")


def test_the_console_is_off_unless_it_is_switched_on(one_worker: ApiServer) -> None:
    with Caller(one_worker.url) as caller:
        for path in (ROOT, f"{ROOT}/", f"{ROOT}/main.js", f"{ROOT}/session"):
            refused(caller.get(path), "404 not_found")
    assert not [rule for rule in application().url_map.iter_rules() if ROOT in rule.rule]


def test_the_files_are_part_of_the_package() -> None:
    """The package's data in pyproject.toml match every file."""
    spec = find_spec("factstore.console")
    assert spec is not None
    assert spec.origin is not None
    directory = Path(spec.origin).with_name("files")
    present = {
        path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()
    }
    assert present == set(files())
