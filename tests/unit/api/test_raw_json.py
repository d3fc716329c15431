"""JSON texts that contain other JSON texts are JSON again."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from factstore.api.raw_json import json_array, json_object

values = st.sampled_from([None, True, 0, -1.5, "", "a", '"}', "ä", [1], {"a": []}])
names = st.sampled_from("abcdefgh")


@given(
    st.dictionaries(names, values, max_size=4),
    st.dictionaries(names, values, min_size=1, max_size=4),
)
def test_an_object_has_its_fields_and_its_raw_members(
    fields: dict[str, object], more: dict[str, object]
) -> None:
    fields = {name: value for name, value in fields.items() if name not in more}
    text = json_object(fields, {name: json.dumps(value) for name, value in more.items()})
    assert json.loads(text) == {**fields, **more}


@given(st.lists(values, max_size=4))
def test_an_array_has_its_items(items: list[object]) -> None:
    assert json.loads(json_array(json.dumps(item) for item in items)) == items
