"""Private names of other packages that we use are listed and exist, and the packages have bounds."""

from __future__ import annotations

import csv
import importlib
import inspect
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from flask_smorest import Api
from flask_smorest import Blueprint as SmorestBlueprint
from gunicorn.workers.ggevent import GeventWorker
from keystonemiddleware.auth_token import AuthProtocol
from oslo_log.formatters import ContextFormatter
from packaging.requirements import Requirement

from factstore.api.app import FactstoreApi
from factstore.api.blueprint import Blueprint
from factstore.wsgi.auth.keystone import KeystoneAuth
from factstore.wsgi.ops.logs import OneLineFormatter
from factstore.wsgi.server.worker import Worker

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "doc/source/contributor/private-names.csv"
SUBCLASSES = {
    FactstoreApi: Api,
    Blueprint: SmorestBlueprint,
    KeystoneAuth: AuthProtocol,
    OneLineFormatter: ContextFormatter,
    Worker: GeventWorker,
}


def rows() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def resolve(name: str) -> tuple[Any, str]:
    """Return the module or class that has a name, and the last part of the name."""
    *parts, last = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found, last
    raise ImportError(name)


def exists(name: str) -> bool:
    """Return True if a name exists; ``module:text`` is a text in a module's source."""
    module, separator, text = name.partition(":")
    if separator:
        return text in inspect.getsource(importlib.import_module(module))
    owner, last = resolve(name)
    return hasattr(owner, last) or last in assigned(owner)


def assigned(owner: type) -> set[str]:
    """Return the attributes that the methods of a class and of its bases assign."""
    found: set[str] = set()
    for each in getattr(owner, "__mro__", ())[:-1]:
        if each.__module__ != "builtins":
            found.update(re.findall(r"\bself\.(\w+)(?:: [^=\n]+)? = ", inspect.getsource(each)))
    return found


@pytest.mark.parametrize("name", [row["Name"] for row in rows()])
def test_a_private_name_that_we_use_exists(name: str) -> None:
    assert exists(name)


@pytest.mark.parametrize("name", ["gunicorn.util.gone", "gunicorn.http.wsgi:gone"])
def test_a_name_that_does_not_exist_is_noticed(name: str) -> None:
    assert not exists(name)


@pytest.mark.parametrize("ours", SUBCLASSES, ids=lambda each: each.__name__)
def test_private_names_of_a_base_class_are_listed(ours: type) -> None:
    base = SUBCLASSES[ours]
    listed = {row["Name"].rpartition(".")[2].rpartition(":")[2] for row in rows()}
    known = assigned(base) | set(dir(base))
    used = set(re.findall(r"(?<!\w)_[a-z]\w*", inspect.getsource(ours)))
    defined_here = {name for name in vars(ours) if name not in vars(base)} | assigned(ours)
    of_base = {name for name in used & known if name not in defined_here or name in dir(base)}
    assert of_base - listed == set()


def test_a_package_with_private_names_has_an_upper_bound() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    bounds = {each.name: str(each.specifier) for each in map(Requirement, extras["server"])}
    assert {row["Package"] for row in rows() if "<" not in bounds[row["Package"]]} == set()


def test_the_files_that_the_table_names_exist() -> None:
    assert {
        row["Used in"] for row in rows() if not (ROOT / "factstore" / row["Used in"]).exists()
    } == set()
