"""Each field refuses a wrong value with a sentence that states what is expected."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
from collections.abc import Iterator

import marshmallow as ma
import pytest
from marshmallow import fields, validate

from factstore.api import schemas
from factstore.api.schema_errors import schema_error
from factstore.api.schemas.base import Schema
from factstore.api.schemas.field_types import OneOf

WRONG = (None, True, 7, -1, 10**30, 1.5, "", "\n", "x y", "x" * 5000, [], [None], [7], {}, {"x": 7})


def every_schema() -> list[type[Schema]]:
    """Return the schemas of all bodies and queries."""
    for each in pkgutil.iter_modules(schemas.__path__):
        importlib.import_module(f"{schemas.__name__}.{each.name}")
    return sorted(set(_below(Schema)), key=lambda each: each.__qualname__)


def _below(kind: type[Schema]) -> Iterator[type[Schema]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def words_of_the_library() -> set[str]:
    """Return the messages of marshmallow that state no more than that a value is wrong."""
    kinds = [each for each in vars(fields).values() if isinstance(each, type)]
    found = {
        text
        for kind in kinds
        if issubclass(kind, fields.Field)
        for text in kind.default_error_messages.values()
    }
    return found | {validate.Regexp.default_message, *Schema().error_messages.values()}


@pytest.mark.parametrize("schema", every_schema(), ids=lambda each: each.__qualname__)
def test_a_refusal_states_what_is_expected(schema: type[Schema]) -> None:
    made, vague = schema(), words_of_the_library()
    refused = 0
    for (name, field), value in itertools.product(made.fields.items(), WRONG):
        try:
            field.deserialize(value, name, {})
        except ma.ValidationError as error:
            refused += 1
            detail = schema_error({name: error.normalized_messages()}, "json", made).detail
            assert not any(detail.endswith(text) for text in vague), (name, value, detail)
    assert refused or not made.fields


def test_choices_are_quoted_and_an_empty_one_is_not_named() -> None:
    for choices, text in (
        (["", "results", "self,peers"], "Send 'results' or 'self,peers'."),
        (["json"], "Send 'json'."),
        (("a", "b", "c"), "Send 'a', 'b' or 'c'."),
    ):
        with pytest.raises(ma.ValidationError) as refused:
            OneOf(choices)("x")
        assert refused.value.messages == [text]
    plain = {
        f"{schema.__name__}.{name}"
        for schema in every_schema()
        for name, field in schema().fields.items()
        for each in field.validators
        if isinstance(each, validate.OneOf) and not isinstance(each, OneOf)
    }
    assert plain == set()
