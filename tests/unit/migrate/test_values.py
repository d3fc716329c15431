"""Whatever is in the metadata, both sides evaluate to the same facts."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from factstore.migrate import rewrite
from tests.unit.migrate import evaluation

NAMES = st.sampled_from(
    ["a", "b2", "c-d", "_e", "OpenStack::Role", "f.g", "h@i", "J_k", "0l", "mm"]
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=8)
CALLS = st.sampled_from(
    [
        {"Ref": "P"},
        {"Ref": "other"},
        {"Fn::GetAtt": ["reader", "ip"]},
        {"Fn::GetAtt": ["other", "value"]},
        {"Fn::Join": ["", ["http://", {"Fn::GetAtt": ["reader", "ip"]}, ":80"]]},
        {"Fn::Select": [0, {"Fn::GetAtt": ["second", "ips"]}]},
    ]
)
SCALARS = st.one_of(TEXTS, st.integers(-9, 9), st.booleans(), CALLS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
METADATA = st.dictionaries(NAMES, VALUES, min_size=1, max_size=4)
READ_PATH = {"cfn": {"access_key_id": {"Ref": "key"}, "path": "facts.Metadata"}}


class Writer:
    """Writes values as YAML in layouts that hypothesis chooses, with numbered comments."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw
        self.comments = 0

    def mapping(self, value: dict[str, Any], column: int) -> str:
        return "".join(self._entry(key, each, column) for key, each in value.items())

    def _entry(self, key: str, value: Any, column: int) -> str:
        pad = " " * column
        name = f'"{key}"' if self._draw(st.booleans()) else key
        above = self._comment(f"{pad}# ") + "\n" if self._draw(st.booleans()) else ""
        behind = self._comment("   # ") if self._draw(st.booleans()) else ""
        if isinstance(value, dict) and value and self._draw(st.booleans()):
            step = self._draw(st.sampled_from([1, 2, 4]))
            return f"{above}{pad}{name}:{behind}\n{self.mapping(value, column + step)}"
        if isinstance(value, list) and value and self._draw(st.booleans()):
            items = "".join(f"{pad}  - {json.dumps(each)}\n" for each in value)
            return f"{above}{pad}{name}:{behind}\n{items}"
        return f"{above}{pad}{name}: {json.dumps(value, ensure_ascii=False)}{behind}\n"

    def _comment(self, before: str) -> str:
        self.comments += 1
        return f"{before}comment {self.comments};"


@st.composite
def templates(draw: Any) -> tuple[str, int]:
    """Return a template and the number of its comments."""
    metadata = draw(METADATA)
    if draw(st.booleans()):
        metadata["os-collect-config"] = READ_PATH
    writer = Writer(draw)
    reader = {"os-collect-config": READ_PATH}
    resources = [
        "  key: {Type: AWS::IAM::AccessKey}\n",
        "  other: {Type: OS::Heat::Value, Properties: {value: 1}}\n",
        "  second: {Type: OS::Nova::Server, DependsOn: reader}\n",
        f"  reader:\n    Type: OS::Nova::Server\n    Metadata: {json.dumps(reader)}\n",
    ]
    if draw(st.booleans()):
        body = {"Type": evaluation.LAUNCH, "Metadata": metadata}
        indent = draw(st.sampled_from([None, 2, "\t"])) if draw(st.booleans()) else None
        if indent is None:
            resources.append(f"  facts: {json.dumps(body)}\n")
        else:
            document = {
                "AWSTemplateFormatVersion": "2010-09-09",
                "Parameters": {"P": {"Type": "String"}},
                "Resources": {
                    "facts": body,
                    "other": {"Type": "OS::Heat::Value"},
                    "second": {"Type": "OS::Nova::Server", "DependsOn": ["reader"]},
                    "reader": {
                        "Type": "OS::Nova::Server",
                        "Metadata": {"os-collect-config": READ_PATH},
                    },
                    "key": {"Type": "AWS::IAM::AccessKey"},
                },
            }
            return json.dumps(document, indent=indent), 0
    else:
        resources.append(
            f"  facts:\n    Type: {evaluation.LAUNCH}\n    Metadata:\n{writer.mapping(metadata, 6)}"
        )
    order = draw(st.permutations(resources))
    head = "HeatTemplateFormatVersion: '2012-12-12'\nParameters: {P: {Type: String}}\nResources:\n"
    return head + "".join(order), writer.comments


@settings(max_examples=40, deadline=None)
@given(templates())
def test_every_value_is_there_afterwards_and_no_reference_leads_nowhere(
    made: tuple[str, int],
) -> None:
    before, comments = made
    result = rewrite(before)
    old, new = evaluation.load(before), evaluation.load(result.text)
    assert result.is_complete, result.findings
    assert evaluation.facts(new) == evaluation.metadata(old)
    assert evaluation.dangling(new) == set()
    assert not evaluation.is_circular(new)
    assert "key" not in evaluation.resources(new)
    read = evaluation.resources(old)["facts"]["metadata"]
    if "os-collect-config" not in read:
        for number in range(1, comments + 1):
            assert result.text.count(f"comment {number};") == 1, result.text
