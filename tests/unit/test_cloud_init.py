"""The first boot of an instance: it downloads the agent, and starts it."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from factstore import cloud_init
from factstore.cloud_init import Download, fetch_program, first_boot
from tests.docs.pages import ROOT
from tests.unit.client.network import tls_in_front_of

AGENT = b"#!/usr/bin/env python3\nprint('the agent')\n"
DIGEST = hashlib.sha256(AGENT).hexdigest()
SETTINGS = {"agent": {"stack": "slurm", "group": "compute"}, "service": {"url": "https://cloud"}}


@dataclass
class Service:
    """A service that answers each request with the next of some answers, the last one forever."""

    url: str = ""
    answers: list[tuple[int, bytes]] = field(default_factory=lambda: [(200, AGENT)])
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            status, body = found.answers[0] if len(found.answers) == 1 else found.answers.pop(0)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}/v1/agent"
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(
    directory: Path, download: Download, *, seconds: float = 60, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run the program that downloads the agent, with a target in a directory, and without pauses."""
    program = fetch_program(download, **options)
    for old, new in (
        (cloud_init.AGENT_FILE, f"{directory}/bin/factstore-agent"),
        ("/dev/console", f"{directory}/console"),
        ("SECONDS = 600", f"SECONDS = {seconds}"),
        ("time.sleep(pause)", "time.sleep(0)"),
    ):
        assert old in program
        program = program.replace(old, new)
    program = program.replace(cloud_init.CACERT_FILE, f"{directory}/ca.pem")
    file = directory / "fetch_agent.py"
    file.write_text(program)
    environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    return subprocess.run(
        [sys.executable, "-I", file], capture_output=True, text=True, timeout=60, env=environment
    )


def test_the_agent_is_downloaded_as_soon_as_the_service_offers_it(
    service: Service, tmp_path: Path
) -> None:
    refusal = json.dumps({"detail": "There is no such agent yet."}).encode()
    service.answers = [(503, b""), (404, refusal), (404, refusal), (200, b"half"), (200, AGENT)]
    done = fetch(tmp_path, Download(service.url, DIGEST))
    assert done.returncode == 0
    file = tmp_path / "bin" / "factstore-agent"
    assert file.read_bytes() == AGENT
    assert stat.S_IMODE(file.stat().st_mode) == 0o755
    assert [each.name for each in file.parent.iterdir()] == [file.name]
    assert [line.partition("yet: ")[2] for line in done.stdout.splitlines()] == [
        "HTTP Error 503: Service Unavailable",
        "HTTP Error 404: Not Found: There is no such agent yet.",
        f"its sha256 is {hashlib.sha256(b'half').hexdigest()}, and the user data name {DIGEST}",
    ]


def test_a_failure_is_one_line_on_the_console(service: Service, tmp_path: Path) -> None:
    service.answers = [(200, b"another program")]
    done = fetch(tmp_path, Download(service.url, DIGEST), seconds=-1)
    assert done.returncode == 1
    console = (tmp_path / "console").read_text()
    assert console == done.stdout
    assert console.startswith("factstore: the agent was not installed, so this instance is not a")
    assert f"{service.url} cannot be downloaded: its sha256 is" in console
    assert f"run 'python3 {tmp_path}/fetch_agent.py', then 'systemctl daemon-reload'" in console
    assert not (tmp_path / "bin" / "factstore-agent").exists()


def test_a_proxy_is_used_if_it_is_configured(service: Service, tmp_path: Path) -> None:
    proxy = service.url.removesuffix("/v1/agent")
    there = Download("http://service.invalid/v1/agent", DIGEST)
    assert fetch(tmp_path, there, proxy=proxy).returncode == 0
    assert service.asked == [there.url]
    assert fetch(tmp_path, Download(service.url, DIGEST), proxy="none").returncode == 0


def test_an_intermediate_ca_is_enough(service: Service, tmp_path: Path) -> None:
    intermediate = trustme.CA().create_child_ca()
    intermediate.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    intermediate.issue_cert("127.0.0.1").configure_cert(context)
    with tls_in_front_of(int(service.url.split(":")[2].partition("/")[0]), context) as port:
        there = Download(f"https://127.0.0.1:{port}/v1/agent", DIGEST)
        assert fetch(tmp_path, there, seconds=-1, cacert=True).returncode == 0
        (tmp_path / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
        refused = fetch(tmp_path, there, seconds=-1, cacert=True)
    assert "certificate verify failed" in refused.stdout


def test_certificates_and_proxy_are_those_of_the_settings(tmp_path: Path) -> None:
    steps = first_boot(SETTINGS, "id.secret", download=Download("https://x", DIGEST), cacert="PEM")
    files = {file.path: file for file in steps.files}
    assert files["/etc/factstore/ca.pem"].content == "PEM\n"
    assert 'CACERT = "/etc/factstore/ca.pem"' in files["/etc/factstore/fetch_agent.py"].content
    assert "cacert = /etc/factstore/ca.pem\n" in files["/etc/factstore/agent.conf"].content
    proxied = {**SETTINGS, "service": {"url": "https://cloud", "proxy": "http://proxy:3128"}}
    steps = first_boot(proxied, "id.secret", download=Download("https://x", DIGEST))
    files = {file.path: file for file in steps.files}
    assert 'PROXY = "http://proxy:3128"' in files["/etc/factstore/fetch_agent.py"].content
    assert files["/etc/factstore/fetch_agent.py"].mode == 0o600, "it may contain a password"
    assert "CACERT = None" in files["/etc/factstore/fetch_agent.py"].content
    assert "cacert" not in files["/etc/factstore/agent.conf"].content


def test_the_script_writes_the_files_and_runs_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**SETTINGS, "facts": {"builtin": "it's $HOME `x` \\ %s"}}
    steps = first_boot(settings, "id.secret", download=Download("https://x", DIGEST))
    (tmp_path / "bin").mkdir()
    for name in ("python3", "systemctl"):
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\necho "{name} $*"\n')
        program.chmod(0o755)
    script = steps.script().replace("/etc/", f"{tmp_path}/etc/")
    done = subprocess.run(
        ["sh", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"},
    )
    assert done.stdout.splitlines() == [
        f"python3 {tmp_path}/etc/factstore/fetch_agent.py",
        "systemctl daemon-reload",
        "systemctl enable --now factstore-agent",
    ]
    for file in steps.files:
        written = Path(f"{tmp_path}{file.path}")
        assert written.read_text() == file.content.replace("/etc/", f"{tmp_path}/etc/")
        assert stat.S_IMODE(written.stat().st_mode) == file.mode
    assert stat.S_IMODE((tmp_path / "etc" / "factstore").stat().st_mode) == 0o755


def test_the_shipped_script_is_this_one() -> None:
    download = Download("URL/v1/agent?sha256=SHA256", "SHA256")
    settings = {"agent": SETTINGS["agent"], "service": {"url": "URL"}}
    made = first_boot(settings, "GRANT", download=download).script()
    shipped = (ROOT / "etc" / "cloud-init" / "factstore-agent.sh").read_text()
    assert [line for line in shipped.splitlines() if not line.startswith("# ")] == [
        line for line in made.splitlines() if not line.startswith("# ")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "agent.pyz",
        "https://x",
        f"ftp://x#sha256={DIGEST}",
        "https://x#sha256=ab",
        f"https://me:pass@x/y#sha256={DIGEST}",
    ],
)
def test_an_agent_from_another_place_needs_its_digest(text: str) -> None:
    with pytest.raises(ValueError, match=r"must (begin|end|be readable) with"):
        Download.of(text)
    assert Download.of(f"https://x/y#sha256={DIGEST}") == Download("https://x/y", DIGEST)
