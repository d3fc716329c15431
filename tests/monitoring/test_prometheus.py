"""A real Prometheus: its scrapes, the alerts, the dashboard, and targets from a stack."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import yaml

from factstore.client import Stack, connect
from factstore.client.render import render, write
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.ports import free_port
from factstore.cmd.processes.process import Child
from tests.docs.pages import code
from tests.eventually import eventually
from tests.http import fresh_stack
from tests.monitoring.files import RULES, queries
from tests.service import ApiServer


class Prometheus:
    """A Prometheus that scrapes the service, with the alerts and with the targets of a stack."""

    def __init__(self, folder: Path, api: ApiServer, stack: Stack) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.targets = folder / "slurm.json"
        scrape, by_http, discovery = [
            yaml.safe_load(block) for block in code("admin/monitoring.rst", "yaml")
        ]
        (service,) = scrape["scrape_configs"]
        service["static_configs"] = [{"targets": [api.url.removeprefix("http://")]}]
        (nodes,) = discovery["scrape_configs"]
        (files,) = nodes["file_sd_configs"]
        files.update(files=[str(self.targets)], refresh_interval="1s")
        (asked,) = by_http["scrape_configs"]
        (source,) = asked["http_sd_configs"]
        path = urlsplit(source["url"])
        credentials = folder / "grant"
        credentials.write_text(stack.issue_grant(role="reader").token)
        source["authorization"]["credentials_file"] = str(credentials)
        source["url"] = f"{api.url}{path.path.replace('slurm', stack.name)}?{path.query}"
        source["refresh_interval"] = "1s"
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [service, asked, nodes],
        }
        file = folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(config))
        self._argv = [
            str(shutil.which("prometheus")),
            f"--config.file={file}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
        ]
        self._log = folder / "prometheus.log"
        self._child = Child("Prometheus")

    def __enter__(self) -> Prometheus:
        self._child.start(self._argv, log_path=self._log)
        return self

    def __exit__(self, *_: object) -> None:
        self._child.terminate(5.0)

    def get(self, path: str, **query: str) -> Any:
        """Return the data of a response of the API; None until Prometheus is ready."""
        try:
            answer = requests.get(f"{self.url}/api/v1/{path}", query, timeout=30)
        except requests.ConnectionError:
            return None
        if answer.status_code == 503:
            return None
        assert answer.json()["status"] == "success", answer.text
        return answer.json()["data"]

    def query(self, text: str) -> Any:
        """Return the results of a query now."""
        found = self.get("query", query=text)
        return found and found["result"]


@pytest.fixture(scope="module")
def api(etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A service whose counters are its own."""
    with ApiServer([etcd.endpoint], tmp_path_factory.mktemp("api")) as server:
        yield server


@pytest.fixture(scope="module")
def stack(api: ApiServer) -> Stack:
    """A stack with a member."""
    stack = connect(api.url).stack(fresh_stack())
    stack.put("nodes/c1/ip", "127.0.0.9")
    stack.member("c1").join("compute", ttl=3600)
    return stack


@pytest.fixture(scope="module")
def prometheus(
    api: ApiServer, stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    with Prometheus(tmp_path_factory.mktemp("prometheus"), api, stack) as prometheus:
        yield prometheus


def test_the_service_is_scraped_and_no_alert_is_raised(prometheus: Prometheus) -> None:
    eventually(lambda: prometheus.query('up{job="factstore"} == 1'))
    eventually(lambda: prometheus.query('factstore_ready{job="factstore"} >= 1'))
    groups = eventually(lambda: prometheus.get("rules"))["groups"]
    eventually(
        lambda: all(
            rule["health"] == "ok" for rule in prometheus.get("rules")["groups"][0]["rules"]
        )
    )
    assert len(groups[0]["rules"]) == len(yaml.safe_load(RULES.read_text())["groups"][0]["rules"])
    assert prometheus.get("alerts")["alerts"] == []


@pytest.mark.parametrize("title", queries())
def test_a_panel_of_the_dashboard_shows_something(
    prometheus: Prometheus, stack: Stack, title: str
) -> None:
    for text in queries()[title]:
        expression = text.replace("$__rate_interval", "10s")

        def shown(expression: str = expression) -> bool:
            stack.put("n", {"title": title})
            stack.delete("n")
            return bool(prometheus.query(expression))

        eventually(shown)


@pytest.mark.parametrize("job", ["nodes", "nodes-by-file"])
def test_targets_of_a_stack_are_discovered(prometheus: Prometheus, stack: Stack, job: str) -> None:
    write(render("prometheus-sd", stack.context().document), prometheus.targets)

    def discovered() -> list[dict[str, Any]]:
        found = prometheus.get("targets") or {"activeTargets": []}
        return [each for each in found["activeTargets"] if each["scrapePool"] == job]

    (target,) = eventually(discovered)
    assert target["labels"] == {
        "job": job,
        "instance": "c1",
        "group": "compute",
        "stack": stack.name,
    }
    assert target["scrapeUrl"] == "http://127.0.0.9:9100/metrics"


def test_promtool_accepts_the_alerts() -> None:
    promtool = str(shutil.which("promtool"))
    checked = subprocess.run(
        [promtool, "check", "rules", str(RULES)], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
