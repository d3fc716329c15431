"""The results that a deployer reports: bounded, as valid text, and without secrets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factstore.agent.apply.sensitive_facts import secret_texts
from factstore.agent.deploy import deployer as deploying
from factstore.agent.deploy import runs
from factstore.agent.deploy.protocol import hook_result
from factstore.agent.deploy.runs import Run
from factstore.client import errors
from tests.eventually import eventually
from tests.unit.agent.deployments import DONE, SECRET, FakeStack, Instance, configuration
from tests.unit.agent.factories import write


@pytest.mark.parametrize("where", ["before the cut", "at the end", "in the progress"])
def test_no_part_of_a_secret_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    secret = "".join(f"{at:04}" for at in range(5000))
    monkeypatch.setattr(deploying, "PROGRESS_SECONDS", 0)
    monkeypatch.setattr(runs, "TAIL_BYTES", 30_000)
    found = configuration(input_facts={"key": "secrets/key"}, timeout=60)
    if where == "at the end":
        found = replace(found, timeout=1)
    stack = FakeStack(found)
    stack.facts["secrets/key"] = secret
    (tmp_path / "secret").write_text(secret)
    script = {
        # More than the tail in all, and hardly anything of it once it is redacted.
        "before the cut": f"for at in 1 2 3 4 5; do cat DIR/secret; echo; done >&2; {DONE}",
        "at the end": "head -c 9000 DIR/secret >&2; sleep 600",
        "in the progress": f"cat DIR/secret >&2; head -c 15000 DIR/secret >&2;"
        f" while ! test -e DIR/go; do sleep 0.05; done; {DONE}",
    }[where]
    instance = Instance(tmp_path, stack, script)
    if where == "in the progress":
        eventually(lambda: instance.agent.step() is not None and Run(tmp_path / "state").began)
        for _ in range(5):
            instance.agent.step()
        (tmp_path / "go").touch()
    instance.until_ended()
    reported = json.dumps(stack.reports)
    assert not any(f"{at:04}{at + 1:04}" in reported for at in range(4999))


def test_results_are_bounded_and_valid_text() -> None:
    printed = {
        "deploy_stdout": "\0x\ud800" + "\N{SNOWMAN}" * 9000,
        "deploy_status_code": "0",
        "a": "\0b",
    }
    end = {"status": 0, "failure": None}
    result = hook_result(end, json.dumps(printed).encode(), b"\xff\n last \n\n", [])
    assert len(result["stdout"].encode()) <= 16 * 1024
    assert set(result["stdout"]) == {"\N{SNOWMAN}"}
    assert result["outputs"] == {"a": "b"}
    assert result["message"] == "last"
    long = json.dumps({"a": "x" * 20_000}).encode()
    assert hook_result(end, long, b"", [])["reason"] == "the outputs are longer than 16384 bytes"


@pytest.mark.parametrize(
    ("printed", "secret", "outputs"),
    [
        ('{"pin": 12345678}', 12345678, {"pin": "***"}),
        ('{"a": "say \\"hunter2\\""}', 'say "hunter2"', {"a": "***"}),
        ('{"hunter2": ["x\\nyyyyy", true]}', "hunter2", {"***": ["x\nyyyyy", True]}),
        ('{"a": "x\\nyyyyy"}', "nyyyyy", {"a": "x\nyyyyy"}),
        ('{"a": "b", "c": "d"}', '", "c": "', {"a": "b", "c": "d"}),
        ('{"a": "\\\\u0000"}', "", {"a": "\\u0000"}),
        ('{"a": [NaN, 1e3], "deploy_status_code": 1e999}', "", {"a": ["NaN", 1e3]}),
        ('{"a": ' + "[" * 900 + "]" * 900 + "}", "", {}),
    ],
)
def test_outputs_of_any_kind_are_reported_without_secrets(
    printed: str, secret: Any, outputs: dict[str, Any]
) -> None:
    end = {"status": 0, "failure": None}
    result = hook_result(end, printed.encode(), b"", secret_texts([secret]))
    assert result["outputs"] == outputs
    assert result["status_code"] == 0


def test_secrets_are_replaced_in_printed_output_that_is_no_text() -> None:
    printed = json.dumps(
        {"deploy_stdout": ['say "hunter2"'], "deploy_stderr": {"a": "hunt\u00e9r"}}
    )
    secrets = secret_texts(['say "hunter2"', "hunt\u00e9r"])
    result = hook_result({"status": 0, "failure": None}, printed.encode(), b"", secrets)
    assert (result["stdout"], result["stderr"]) == ('["***"]', '{"a": "***"}')


@pytest.mark.parametrize("now", [SECRET, "another", None])
def test_output_is_withheld_if_a_secret_changed_while_the_agent_was_restarted(
    tmp_path: Path, now: str | None
) -> None:
    stack = FakeStack(configuration(input_facts={"password": "db/pw"}))
    stack.facts["db/pw"] = SECRET
    printed = json.dumps({"deploy_stdout": SECRET, "url": SECRET, "deploy_status_code": 0})
    script = f"while [ ! -e DIR/go ]; do sleep 0.02; done; echo {SECRET} >&2; echo '{printed}'"
    instance = Instance(tmp_path, stack, script)
    instance.agent.step()
    if now is None:
        del stack.facts["db/pw"]
    else:
        stack.facts["db/pw"] = now
    instance.restarted()
    write(tmp_path / "go", "")
    result = instance.until_ended()
    shown = "***" if now == SECRET else ""
    assert (result["state"], result["stdout"], result["stderr"]) == (
        "complete",
        shown,
        f"{shown}\n" if shown else "",
    )
    assert result["outputs"] == ({"url": "***"} if shown else {})
    assert SECRET not in json.dumps(stack.reports)


def test_a_result_is_kept_while_there_is_a_folder_in_its_place(tmp_path: Path) -> None:
    stack = FakeStack(configuration())
    code = "contextualization.path_is_folder"
    stack.refuses = lambda report: errors.Conflict("a folder", status=409, code=code)
    instance = Instance(tmp_path, stack)
    for _ in range(3):
        with pytest.raises(errors.Conflict):  # so the worker pauses
            instance.agent.step()
    stack.refuses = lambda report: None
    assert instance.until_ended()["state"] == "complete"
    assert instance.runs == 1


def test_a_result_that_is_too_large_as_json_is_shortened(tmp_path: Path) -> None:
    stack = FakeStack(configuration())

    def refuses(report: dict[str, Any]) -> Exception | None:
        long = len(report.get("stdout", "")) > 2048
        return errors.TooLarge("too large", status=413) if long else None

    stack.refuses = refuses
    instance = Instance(tmp_path, stack, "head -c 9000 /dev/zero | tr '\\0' '\\1'")
    result = instance.until_ended()
    assert result["stdout"] == "\1" * 2048
    assert result["reason"] == "the hook printed no JSON object, which hooks of heat-agents print"
