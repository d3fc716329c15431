"""The verdict of a signal arrives whatever the length of its texts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from factstore.core.model.value import DEPTH, VALUE_BYTES, canonical
from factstore.core.model.waiter import SIGNAL_ID_LENGTH
from factstore.core.operations.signals import REASON_LENGTH, SignalRequest

LONG = VALUE_BYTES * 4


@pytest.mark.parametrize("text", ["x", "ä", "\x01", '"', "\N{SLIGHTLY SMILING FACE}"])
@pytest.mark.parametrize("names", [("status", "reason"), ("Status", "Reason")])
def test_a_long_reason_is_cut_and_has_a_note(names: tuple[str, str], text: str) -> None:
    status, reason = names
    for length in (REASON_LENGTH + 1, LONG):
        found = SignalRequest.of({status: "FAILURE", reason: text * length})
        assert found.status == "FAILURE"
        assert found.reason is not None
        assert len(found.reason) == REASON_LENGTH
        assert found.reason.startswith(text * 900)
        assert found.reason.endswith(f"... [cut from {length} characters]")
    assert SignalRequest.of({reason: text * REASON_LENGTH}).reason == text * REASON_LENGTH


@pytest.mark.parametrize(
    "data",
    [
        "x" * LONG,
        "ä" * LONG,
        "\x01" * LONG,
        "\\" * LONG,
        ["x"] * LONG,
        {"log": "x" * LONG},
        {str(number): number for number in range(VALUE_BYTES)},
    ],
    ids=["text", "umlauts", "controls", "backslashes", "a list", "an object", "many keys"],
)
@pytest.mark.parametrize("names", [("status", "data"), ("Status", "Data")])
def test_large_data_is_cut_and_has_a_note(names: tuple[str, str], data: Any) -> None:
    found = SignalRequest.of({names[0]: "FAILURE", names[1]: data})
    assert found.status == "FAILURE"
    kept = json.loads(found.data)
    whole = data if isinstance(data, str) else canonical_text(data)
    beginning, _, note = kept.partition("... [cut from ")
    assert note == f"{len(whole)} characters]"
    assert whole.startswith(beginning)
    assert VALUE_BYTES / 2 < len(canonical(kept).encode()) <= VALUE_BYTES
    assert SignalRequest.of({names[1]: data}).data == found.data


def test_data_nested_too_deeply_becomes_a_text() -> None:
    data: Any = 1
    for _ in range(DEPTH + 1):
        data = [data]
    found = SignalRequest.of({"status": "FAILURE", "data": data})
    assert json.loads(found.data) == f"[nested deeper than {DEPTH} levels] {canonical_text(data)}"
    assert SignalRequest.of({"data": data[0]}).data == canonical_text(data[0])


def test_characters_that_no_value_may_contain_are_replaced() -> None:
    text = "a\0b\ud800c"
    found = SignalRequest.of(
        {"status": "FAILURE", "reason": text, "id": text, "data": {text: [text]}}
    )
    assert (found.status, found.reason, found.id) == ("FAILURE", *["a\ufffdb\ufffdc"] * 2)
    assert json.loads(found.data) == {"a\ufffdb\ufffdc": ["a\ufffdb\ufffdc"]}


def canonical_text(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def test_data_that_fits_is_kept_as_it_is() -> None:
    data = ["x" * (VALUE_BYTES - 4)]
    assert json.loads(SignalRequest.of({"data": data}).data) == data


@pytest.mark.parametrize("name", ["id", "UniqueId"])
def test_long_ids_stay_different(name: str) -> None:
    ids = [SignalRequest.of({name: "x" * LONG + end}).id for end in ("a", "b", "a")]
    assert ids[0] == ids[2] != ids[1]
    assert [len(each or "") for each in ids] == [SIGNAL_ID_LENGTH] * 3
    assert SignalRequest.of({name: "x" * SIGNAL_ID_LENGTH}).id == "x" * SIGNAL_ID_LENGTH
