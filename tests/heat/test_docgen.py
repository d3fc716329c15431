"""The reference of resource types matches their schemas."""

from __future__ import annotations

from pathlib import Path

import factstore
from factstore.heat.docgen import page
from factstore.heat.plugins.factstore_resources import resource_mapping

CHECKED_IN = (
    Path(factstore.__file__).parents[1] / "doc" / "source" / "reference" / "heat-resources.rst"
)


def test_the_reference_matches_the_schemas() -> None:
    again = "python -m factstore.heat.docgen > doc/source/reference/heat-resources.rst"
    assert CHECKED_IN.read_text() == page(), f"regenerate it: {again}"


def test_every_item_of_a_schema_has_a_description() -> None:
    for name, kind in resource_mapping().items():
        described = {**kind.properties_schema, **kind.attributes_schema}
        silent = [field for field, schema in described.items() if not schema.description]
        assert (name, silent) == (name, [])
        assert kind.__doc__
