"""Arguments of commands."""

from __future__ import annotations

import argparse
import importlib.metadata
from pathlib import Path
from unittest.mock import Mock

import pytest
from osc_lib.exceptions import CommandError

from factstore.osc.arguments import parse_json, read_text
from tests.cases import cases


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NaN", "NaN is not a JSON value"),
        ('{"at_least": -Infinity}', "-Infinity is not a JSON value"),
        ("[1e999]", "the number 1e999 is too large"),
        ("[-0.1e-999]", "the number -0.1e-999 is too close to 0"),
        ("[" * 100_000, "nested too deep"),
        ("{", "is not JSON: Expecting"),
    ],
)
def test_text_that_is_not_json_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(CommandError, match=r"^<condition> ") as refused:
        parse_json(text, "<condition>")
    assert reason in str(refused.value)


def test_numbers_and_times_of_all_commands_are_from_0_on() -> None:
    commands = [
        entry.load()
        for entry in importlib.metadata.entry_points(group="openstack.contextualization.v1")
    ]
    found = 0
    with cases() as case:
        for command in commands:
            for action in command(Mock(), Mock()).get_parser(command.__name__)._actions:
                if action.type is None or not action.option_strings:
                    continue
                if action.dest in ("max_width", "fit_width"):  # of cliff
                    continue
                found += 1
                with case((command.__name__, action.dest)):
                    assert action.type("7") == 7
                    for text in (
                        "-1",
                        "nan",
                        "inf",
                        "-0.5",
                        "1e3",
                        "",
                        "1_0",
                        "\u0661",
                        "9" * 5000,
                    ):
                        with pytest.raises(argparse.ArgumentTypeError, match="from 0 on"):
                            action.type(text)
    assert found > 15


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing", None, "No such file or directory"),
        ("folder", "", "Is a directory"),
        ("binary", b"\xff", "it is not text in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_once_with_the_reason(
    tmp_path: Path, name: str, content: str | bytes | None, reason: str
) -> None:
    file = tmp_path / name
    if content == "":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(CommandError) as refused:
        read_text(str(file))
    assert str(refused.value) == f"{str(file)!r} cannot be read: {reason}."
