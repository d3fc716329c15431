"""The commands, with a stub of the service or without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from factstore.agent.cli import main
from factstore.agent.publish.command_facts import CommandFacts
from factstore.agent.system.sd_notify import notify
from factstore.client.program_output import CLOSED
from tests.cases import cases
from tests.unit.agent.factories import agent, context, program, settings, state, write
from tests.unit.client.stub import Service, answer, fact, refusal


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variables of the environment in which the tests run."""
    for name in list(os.environ):
        if name.startswith(("OS_", "FACTSTORE_")):
            monkeypatch.delenv(name)


def conf(directory: Path, url: str = "http://127.0.0.1:1", more: str = "") -> Path:
    for name in ("facts.d", "hooks.d"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    return settings(directory, f"[service]\nurl = {url}\n{more}").file


def errors_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == "" or captured.out.startswith("ok: ")
    return [line.removeprefix("factstore-agent: ") for line in captured.err.splitlines()]


def test_each_error_in_the_configuration_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "agent.conf", "[agent]\nttl = 1\n[weather]\n")
    assert main(["--config", str(file), "run"]) == 2
    assert sorted(errors_of(capsys)) == [
        f"{file}: [agent] stack: this option is required.",
        f"{file}: [agent] ttl: '1' is not an integer from 5 to 86400.",
        f"{file}: [weather]: this section is unknown.",
    ]


def test_the_environment_can_name_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FACTSTORE_AGENT_CONFIG", str(tmp_path / "x.conf"))
    assert main(["check"]) == 2
    assert errors_of(capsys) == [f"{tmp_path}/x.conf: No such file or directory."]


def test_check_accepts_a_correct_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = conf(tmp_path, more=RENDER)
    write(tmp_path / "facts.d" / "a.json", "{}")
    write(tmp_path / "facts.d" / "a.json~", "{}")
    write(tmp_path / "hooks.d" / "10-a", "#!/bin/sh\n", 0o755)
    assert main(["--config", str(file), "check"]) == 0
    out, err = capsys.readouterr()
    counts = "templates 0, renderers 1, hooks 1, files of facts 1"
    assert (out, err) == (f"ok: member c1 of slurm in group node; {counts}\n", "")


def test_check_asks_the_service_about_the_grant(
    service: Service,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(tmp_path / "grant", "g1.s3cret", 0o600)
    conf(tmp_path)
    file = settings(
        tmp_path, f"[service]\nurl = {service.url}\ngrant_file = DIR/grant\n", group="compute"
    ).file
    good = {
        "id": "g1",
        "role": "agent",
        "member": "c1",
        "group": "compute",
        "ttl": 60,
        "created_at": "2026-01-01T00:00:00Z",
        "created_by": "alice",
        "expires_at": "2026-01-01T00:01:00Z",
    }
    wrong = {**good, "member": "other", "group": "login"}
    for sent, status, texts in (
        (answer(200, good), 0, []),
        (answer(200, {**good, "role": "reader"}), 2, ["has the role reader"]),
        (
            answer(200, wrong),
            2,
            ["member: the grant g1 is for other", "group: the grant g1 is for login"],
        ),
        (refusal(401, "unauthorized"), 2, ["refused the grant g1 for the stack slurm"]),
    ):
        service.will(sent)
        assert main(["--config", str(file), "check", "--service"]) == status
        found = errors_of(capsys)
        assert len(found) == len(texts), found
        assert all(text in error for text, error in zip(texts, found, strict=True)), found
        assert service.calls[-1].method == "GET"
    monkeypatch.setattr(
        BaseHTTPRequestHandler, "date_time_string", lambda *_: "Thu, 01 Jan 2026 00:00:00 GMT"
    )
    service.will(answer(200, good))
    assert main(["--config", str(file), "check", "--service"]) == 2
    assert "ahead of that of the service" in errors_of(capsys)[0]
    without = settings(tmp_path, f"[service]\nurl = {service.url}\n").file
    for sent, status in ((refusal(404, "not_found"), 0), (refusal(403, "forbidden"), 2)):
        service.will(sent)
        assert main(["--config", str(without), "check", "--service"]) == status
        assert len(errors_of(capsys)) == (1 if status else 0)
    unreachable = conf(tmp_path, "http://127.0.0.1:1", "grant_file = DIR/grant\n")
    assert main(["--config", str(unreachable), "check", "--service"]) == 4
    assert len(errors_of(capsys)) == 1
    assert main(["--config", str(unreachable), "check"]) == 0


def test_check_reports_all_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = """grant_file = DIR/grant
[template a]
source = a.j2
destination = DIR/nowhere/a
[template b]
source = b.j2
destination = DIR
owner = nobody-of-that-name
command = echo 'x
"""
    write(tmp_path / "grant", "g1.s3cret", 0o644)
    write(tmp_path / "templates" / "b.j2", "fine\n{% if %}")
    write(tmp_path / "hooks.d" / "10-x", "exit 0")
    write(tmp_path / "hooks.d" / "20-crlf", "#!/bin/sh\r\n", 0o755)
    write(tmp_path / "hooks.d" / "30 x", "#!/bin/sh\n", 0o755)
    write(tmp_path / "facts.d" / "10-x", "#!/bin/sh\n")
    write(tmp_path / "facts.d" / "20-x", "#!/no/sh\n", 0o755)
    write(tmp_path / "facts.d" / "30.json", "{")
    write(tmp_path / "facts.d" / "40.json", '{"a/b": 1, "my fact": 1}')
    assert main(["--config", str(conf(tmp_path, more=more)), "check"]) == 2
    a, b = tmp_path / "templates" / "a.j2", tmp_path / "templates" / "b.j2"
    found = errors_of(capsys)
    assert "[template b] command: " in found.pop(5)  # followed by the words of the shell
    assert found == [
        f"{tmp_path}/grant is accessible to other users: run chmod 600 {tmp_path}/grant",
        f"[template a] source: template {a} does not exist.",
        f"[template a] destination: the directory {tmp_path}/nowhere does not exist.",
        f"[template b] source: {b}, line 2: Expected an expression, got 'end of statement block'.",
        f"[template b] destination: {tmp_path} is a directory.",
        "[template b] owner: nobody-of-that-name does not exist on this machine.",
        (
            f"[facts] directory: {tmp_path}/facts.d/10-x is neither executable nor named *.json,"
            " *.yaml or *.yml."
        ),
        f"[facts] directory: {tmp_path}/facts.d/20-x needs /no/sh, which does not exist.",
        f"[facts] directory: {tmp_path}/facts.d/30.json is not valid JSON: line 1, column 2.",
        (
            f"[facts] directory: {tmp_path}/facts.d/40.json contains 'my fact', which is not a path of"
            " a fact."
        ),
        (
            f"[react] hooks: {tmp_path}/hooks.d/30 x has a name with other characters than letters,"
            " digits and _.- and will not run."
        ),
        f"[react] hooks: {tmp_path}/hooks.d/10-x is not executable and will not run.",
        (
            f"[react] hooks: {tmp_path}/hooks.d/20-crlf has lines that end with CR LF: convert it, such"
            " as with sed -i 's/\\r$//'."
        ),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[keystone]\nauth_type = password\nauth_url = http://x\nusernam = x\n",
            "[keystone] usernam: ",
        ),
        (
            "[render x]\nrenderer = data-bags\ndestination = DIR/file\n",
            "DIR/file is not a directory.",
        ),
        ("DIR/file/state", "[agent] state_dir: DIR/file is not a directory."),
        (
            "/proc/x/y",
            "[agent] state_dir: /proc/x/y does not exist and cannot be created in /proc: ",
        ),
        ("gone", "[facts] directory: DIR/facts.d does not exist."),
        ("gone", "[react] hooks: DIR/hooks.d does not exist."),
    ],
)
def test_check_finds_what_the_agent_would_stumble_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, problem: str
) -> None:
    (tmp_path / "file").touch()
    file = conf(tmp_path, more=text if text.startswith("[") else "")
    if text == "gone":
        (tmp_path / "facts.d").rmdir()
        (tmp_path / "hooks.d").rmdir()
    elif text.endswith(("/state", "/y")):
        state = text.replace("DIR", str(tmp_path))
        file.write_text(file.read_text().replace(f"{tmp_path}/state", state))
    assert main(["--config", str(file), "check"]) == 2
    assert problem.replace("DIR", str(tmp_path)) in "\n".join(errors_of(capsys))


def test_check_notes_what_a_renderer_leaves_out(
    tmp_path: Path, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    agent(settings(tmp_path, RENDER), service).reconciler.store_context(
        context({"nodes": {"a:1": {"ip": "10.0.0.1"}}})
    )
    assert main(["--config", str(conf(tmp_path, more=RENDER)), "check"]) == 0
    assert errors_of(capsys) == [
        "note: [render hosts] leaves out nodes/a:1, which is not a valid host name."
    ]


def test_render_prints_utf_8_in_any_locale_and_hides_sealed_facts(
    tmp_path: Path, service: Service
) -> None:
    more = "[template x]\nsource = x\ndestination = DIR/x\n"
    write(tmp_path / "templates" / "x", "{{ facts.motto }} {{ facts.pin }}\n")
    stored = context({"motto": "sch\u00f6n", "pin": None}, sensitive={"pin": "e.1"})
    agent(settings(tmp_path, more), service).reconciler.store_context(stored)
    file = conf(tmp_path, more=more)
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "factstore.agent.cli", "--config", str(file), "render", "x"]
    done = subprocess.run(command, capture_output=True, env=os.environ | ascii_only, check=True)
    assert (done.stdout, done.stderr) == ("sch\u00f6n ***\n".encode(), b"")
    reader, writer = os.pipe()
    os.close(reader)
    closed = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (closed.returncode, closed.stderr) == (CLOSED, b"")


RENDER = "[render hosts]\nrenderer = hosts\ndestination = DIR/hosts\n"


def test_render_prints_a_file_from_the_last_context(
    tmp_path: Path, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    file = conf(tmp_path, more=RENDER)
    assert main(["--config", str(file), "render", "hosts"]) == 1
    assert errors_of(capsys) == ["No context has been stored yet: run factstore-agent run --once"]
    agent(settings(tmp_path, RENDER), service).reconciler.store_context(
        context({"nodes": {"c1": {"ip": "10.0.0.1"}}})
    )
    file = conf(tmp_path, more=RENDER)
    assert main(["--config", str(file), "render", "hosts"]) == 0
    assert capsys.readouterr().out == "10.0.0.1\tc1\n"
    assert main(["--config", str(file), "render", "nothing"]) == 2
    assert errors_of(capsys) == ["No section is named nothing. The sections are: [render hosts]."]


def test_put_publishes_and_stores_a_fact(
    tmp_path: Path, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    state(tmp_path).write("member", {"generation": "1a"})
    service.will(answer(200, fact("nodes/c1/cpus", 4)))
    assert main(["--config", str(conf(tmp_path, service.url)), "put", "--json", "cpus", "4"]) == 0
    assert service.calls[0].body == {"value": 4, "member": "c1", "generation": "1a"}
    assert (state(tmp_path).read("said") or {})["facts"] == {"cpus": 4}
    assert errors_of(capsys) == []


def test_put_in_a_hook_states_the_context_as_the_cause(
    tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    state(tmp_path).write("member", {"generation": "1a"})
    command = ["--config", str(conf(tmp_path, service.url)), "put", "s", "up"]
    cursor = "0123456789abcdef.7"
    for value, sent in ((cursor, cursor), ("nonsense", None), ("", None)):
        monkeypatch.setenv("FACTSTORE_CURSOR", value)
        service.will(answer(200, fact("nodes/c1/s", "up")))
        assert main(command) == 0
        assert service.calls[-1].headers.get("Factstore-Cause") == sent


def test_put_takes_utf_8_in_any_locale(
    tmp_path: Path, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    state(tmp_path).write("member", {"generation": "1a"})
    service.will(answer(200, fact("nodes/c1/town", "x")))
    file = str(conf(tmp_path, service.url))
    assert main(["--config", file, "put", "town", "M\udcc3\udcbcnchen"]) == 0
    assert service.calls[0].body["value"] == "M\u00fcnchen"
    assert main(["--config", file, "put", "town", "M\udcfcnchen"]) == 2
    assert errors_of(capsys) == ["VALUE is not UTF-8."]


def test_put_publishes_a_fact_also_if_it_cannot_be_stored(
    tmp_path: Path,
    service: Service,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state(tmp_path).write("member", {"generation": "1a"})
    service.will(answer(200, fact("nodes/c1/cpus", 4)))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "said.json")

    monkeypatch.setattr(CommandFacts, "put", full)
    assert main(["--config", str(conf(tmp_path, service.url)), "put", "--json", "cpus", "4"]) == 0
    assert errors_of(capsys) == [
        "done, but not stored for when the member joins again: said.json: No space left on device"
    ]


def test_a_refused_fact_is_reported_and_not_stored(
    tmp_path: Path, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    state(tmp_path).write("member", {"generation": "1a"})
    service.will(refusal(400, "path_invalid"))
    assert main(["--config", str(conf(tmp_path, service.url)), "put", "a", "x"]) == 1
    assert state(tmp_path).read("said") is None
    assert errors_of(capsys) == ["about path_invalid (req-1)"]


def test_put_stores_a_fact_that_cannot_be_published_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state(tmp_path).write("member", {"generation": "1a"})
    assert main(["--config", str(conf(tmp_path)), "put", "services/x", "started"]) == 4
    assert (state(tmp_path).read("said") or {})["facts"] == {"services/x": "started"}
    (line,) = errors_of(capsys)
    assert line.startswith("the agent will send this when it runs: Unable to establish connection")
    assert main(["--config", str(conf(tmp_path)), "put", "--json", "x", "{"]) == 2


def test_an_internal_error_is_one_line_without_debug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret may stand here")

    monkeypatch.setattr("factstore.agent.cli.config_check.find_problems", broken)
    assert main(["--config", str(conf(tmp_path)), "check"]) == 1
    assert errors_of(capsys) == [
        "internal error of the agent: RuntimeError. Use --debug for details."
    ]


WITHOUT = """\
import sys
sys.modules.update(dict.fromkeys(["jinja2", "yaml", "flask", "etcd3", "oslo_config"]))
from factstore.agent.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_jinja2_and_yaml_are_optional(tmp_path: Path) -> None:
    def check(more: str) -> tuple[int, str]:
        command = [sys.executable, "-c", WITHOUT, "--config", str(conf(tmp_path, more=more))]
        done = subprocess.run([*command, "check"], capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    assert check(RENDER) == (0, "")
    status, text = check("[template x]\nsource = x\ndestination = DIR/x\n")
    assert status == 2
    assert "templates need Jinja2: install openstack-factstore[agent]" in text


def test_the_agent_imports_no_large_libraries(tmp_path: Path) -> None:
    program(tmp_path / "facts.d" / "x", "echo a=1")
    script = (
        "import sys, json\nfrom factstore.agent.cli import main\n"
        "main(sys.argv[1:])\nprint(json.dumps(sorted(sys.modules)))"
    )
    command = [sys.executable, "-c", script, "--config", str(conf(tmp_path, more=RENDER))]
    done = subprocess.run([*command, "run", "--once"], capture_output=True, text=True, check=False)
    loaded = set(json.loads(done.stdout))
    assert not loaded & {"jinja2", "yaml", "flask", "marshmallow", "etcd3", "grpc", "gevent"}


def test_systemd_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    notify(READY="1")
    for address in ("", "nonsense", "/nowhere/socket", "@nowhere"):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notify(READY="1")


def test_a_number_or_a_time_that_cannot_be_is_a_wrong_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(conf(tmp_path, "http://127.0.0.1:9"))
    commands = (["put", "--ttl"], ["lock", "--max-parallel"], ["lock", "--timeout"])
    with cases() as case:
        for command, option in commands:
            for value in ("-1", "nan", "-0.5", "x", *(["0"] if option != "--timeout" else [])):
                with case((option, value)):
                    with pytest.raises(SystemExit) as ended:
                        main(["--config", file, command, f"{option}={value}", "a", "b"])
                    assert ended.value.code == 2
                    error = capsys.readouterr().err.splitlines()[-1]
                    assert f"argument {option}: {value!r} is not " in error
