"""Signals of heat-config-notify as results: Heat's meaning, limits, and no secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.configuration_result import OUTPUT_BYTES
from factstore.core.model.hook_signal import result_of_signal, secret_texts


@pytest.mark.parametrize(
    ("body", "state", "code", "reason"),
    [
        ({"deploy_status_code": 0}, "complete", 0, ""),
        ({"deploy_status_code": "0", "deploy_stdout": None}, "complete", 0, ""),
        ({"url": "x"}, "complete", None, ""),
        ({"deploy_status_code": "7"}, "failed", 7, ""),
        ({"deploy_status_code": -15}, "failed", -15, ""),
        ({"deploy_status_code": 10**30}, "failed", 2**31 - 1, ""),
        ({"deploy_status_code": "no"}, "failed", None, "deploy_status_code is not a whole number"),
        ({"deploy_status_code": True}, "failed", None, "deploy_status_code is not a whole number"),
        ({}, "failed", None, "the hook printed nothing"),
        ({"big": "x" * OUTPUT_BYTES}, "failed", None, "the outputs are longer than 16384 bytes"),
    ],
)
def test_a_signal_means_what_it_means_to_heat(
    body: dict[str, Any], state: str, code: int | None, reason: str
) -> None:
    result = result_of_signal("i", body)
    assert (result.id, result.state, result.status_code, result.reason) == (
        "i",
        state,
        code,
        reason,
    )


def test_long_output_is_shortened_to_its_end() -> None:
    found = result_of_signal(
        "i",
        {"deploy_status_code": 0, "deploy_stdout": "ä" * 20000, "deploy_stderr": "a\n last \n\n"},
    )
    assert found.stdout == "ä" * (OUTPUT_BYTES // 2)
    assert found.message == "last"


def test_secrets_appear_in_no_part_of_a_result() -> None:
    secrets = secret_texts([json.dumps("first line\nsecond line"), json.dumps({"pin": 1234567})])
    body = {
        "deploy_stdout": "x second line y",
        "deploy_stderr": {"pin": 1234567},
        "key": ["first line\nsecond line"],
        "pin": 1234567,
        "small": 1,
    }
    shown = json.dumps(result_of_signal("i", body, secrets).document)
    assert not any(word in shown for word in ("first", "second", "1234567"))
    assert '"small": 1' in shown


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text(st.characters(codec="utf-8")),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text("ab"), below, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["deploy_stdout", "deploy_stderr", "deploy_status_code", "url"])


@given(st.dictionaries(NAMES, JSON))
def test_every_signal_is_a_result(body: dict[str, Any]) -> None:
    assert result_of_signal("i", body).ended
