"""The table of record formats has one row for each class of records."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import fields
from typing import Any, cast

from factstore.core import model
from factstore.core.model.record import Record
from factstore.store.record_formats import RECORD_FORMATS


def test_every_class_of_records_has_a_row() -> None:
    modules = [
        importlib.import_module(f"{model.__name__}.{found.name}")
        for found in pkgutil.iter_modules(model.__path__)
    ]
    values = [value for module in modules for value in vars(module).values()]
    classes = {value for value in values if isinstance(value, type) and issubclass(value, Record)}
    assert RECORD_FORMATS.keys() == classes - {Record}


def test_every_kind_has_a_folder_of_its_own() -> None:
    folders = [made.folder for made in RECORD_FORMATS.values()]
    assert len({*folders, "facts"}) == len(folders) + 1


def test_the_fields_in_a_format_are_fields_of_the_record() -> None:
    for kind, made in RECORD_FORMATS.items():
        names = {field.name for field in fields(cast("Any", kind))}
        assert {made.key_field} - {None} | made.omitted.keys() <= names
