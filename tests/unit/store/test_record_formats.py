"""The tables of record kinds: each kind has one row in the domain and one in the store."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, cast, get_args

from factstore.core.model.event import Record
from factstore.core.model.record_key import RecordKindName
from factstore.core.model.record_kinds import RECORD_KINDS
from factstore.store.record_formats import RECORD_FORMATS


def test_both_tables_contain_every_kind() -> None:
    kinds = set(get_args(RecordKindName))
    assert RECORD_KINDS.keys() == RECORD_FORMATS.keys() == kinds


def test_every_record_class_has_one_row() -> None:
    classes = [kind.record for kind in RECORD_KINDS.values()]
    assert len(classes) == len(set(classes))
    assert set(classes) == set(get_args(Record))


def test_every_kind_has_a_folder_of_its_own() -> None:
    folders = [made.folder for made in RECORD_FORMATS.values()]
    assert len({*folders, "facts"}) == len(folders) + 1


def test_the_fields_in_a_format_are_fields_of_the_record() -> None:
    for kind, made in RECORD_FORMATS.items():
        names = {field.name for field in fields(cast("Any", RECORD_KINDS[kind].record))}
        assert {made.key_field} - {None} | made.omitted.keys() <= names
