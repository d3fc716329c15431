"""What the guides state of numbers, files, options and commands holds."""

from __future__ import annotations

import configparser
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from factstore.api import schemas
from factstore.api.blueprint import BODY_BYTES
from factstore.cmd.children.etcd import EtcdServer
from factstore.core import fact, path, plan, receipts, value, watching
from factstore.wsgi import configuration, logs
from factstore.wsgi.metrics import Metrics
from tests.service import ApiServer

ROOT = Path(__file__).parents[2]
DOC = ROOT / "doc" / "source"


def code(page: str, language: str) -> list[str]:
    """The code blocks of a page in some language."""
    text = (DOC / page).read_text()
    blocks = re.findall(
        rf"^ *\.\. code-block:: {language}\n\n((?:(?: .*)?\n)+)", text, re.MULTILINE
    )
    return ["\n".join(line.strip() for line in block.splitlines()) for block in blocks]


@pytest.fixture(scope="module")
def api(etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with ApiServer([etcd.endpoint], tmp_path_factory.mktemp("guides") / "api") as server:
        yield server


@pytest.mark.parametrize(
    ("row", "numbers"),
    [
        ("segment of a path", {path.SEGMENT_LENGTH}),
        ("path ", {path.DEPTH, path.PATH_LENGTH}),
        ("value", {value.VALUE_BYTES // 1024}),
        ("nesting", {value.DEPTH}),
        ("description", {fact.DESCRIPTION_LENGTH}),
        ("batch", {plan.BATCH_OPERATIONS, plan.BATCH_BYTES // 1024**2}),
        ("body", {BODY_BYTES // 1024**2}),
        ("time to live", {fact.TTL_MIN, fact.TTL_MAX, fact.TTL_MAX // 86400}),
        ("``wait``", {schemas.WAIT_LIMIT}),
        ("page of a list", {schemas.PAGE_LIMIT}),
        ("page of a long poll", {watching.POLL_EVENTS, watching.POLL_BYTES // 1024**2}),
        ("snapshot frame", {watching.SNAPSHOT_FACTS}),
        ("``Idempotency-Key``", {receipts.RETENTION // 3600}),
    ],
)
def test_the_limits_that_are_stated_are_those_in_force(row: str, numbers: set[int]) -> None:
    text = (DOC / "reference" / "limits.rst").read_text()
    line = next(line for line in text.splitlines() if line.startswith(row))
    assert numbers <= {int(number) for number in re.findall(r"\d+", line)}


def test_the_configuration_of_the_installation_guide_is_one_that_factstore_reads(
    tmp_path: Path,
) -> None:
    blocks = code("install/index.rst", "ini")
    guide = next(block for block in blocks if "[keystone_authtoken]" in block)
    file = tmp_path / "factstore.conf"
    file.write_text(guide)
    conf = configuration.read([str(file)], register_more=logs.register)
    assert conf.api.workers == 4
    parser = configparser.ConfigParser(interpolation=None, default_section="none")
    parser.read_string(guide)
    for group in ("api", "etcd"):
        for name in parser[group]:
            assert name in conf[group]


def test_the_reference_names_every_metric_and_no_other() -> None:
    metrics = Metrics()
    text = (DOC / "reference" / "metrics.rst").read_text()
    table = "\n".join(line for line in text.splitlines() if line.startswith("``"))
    named = set(re.findall(r"``factstore_(\w+?)(?:_total)?``", table))
    families = text_string_to_metric_families(metrics.text().decode())
    assert named == {family.name.removeprefix("factstore_") for family in families} - {
        f"{name}_created" for name in named
    }


def is_there(name: str) -> bool:
    """Whether a file, a directory, a module or something in a module has this name."""
    module = re.sub(r"\.[A-Z]\w*(\.\w+)*$|\.[a-z]+_[a-z_]+$", "", name)
    return any(
        (home / each).exists()
        for home in (ROOT, ROOT / "factstore")
        for each in (name, module, f"{module}.py")
    )


def test_every_file_that_the_contributors_guides_name_is_there() -> None:
    texts = [(ROOT / "CONTRIBUTING.md").read_text()]
    texts += [page.read_text() for page in (DOC / "contributor").glob("*.rst")]
    for text in texts:
        named = re.findall(r"``?([a-z-]+/[\w./-]+)``?", text)
        named += re.findall(r"\]\(([^)#:]+)\)", text)
        assert [name for name in named if not is_there(name)] == ["htmlcov/index.html"] * (
            "htmlcov" in text
        )


def test_the_late_bound_url_is_one_line_on_either_side(api: ApiServer) -> None:
    reader, writer = code("how-to/late-bound-url.rst", "shell")
    setting = f"STACK={api.url}/v1/stacks/guide TOKEN=none\nset -e\n"
    put = threading.Timer(0.3, subprocess.run, [["bash", "-c", setting + writer]], {"check": True})
    put.start()
    done = subprocess.run(
        ["bash", "-c", f'{setting}{reader}\necho "$HEAD_IP"'],
        capture_output=True,
        text=True,
        timeout=30,
    )
    put.join()
    stored = requests.get(f"{api.url}/v1/stacks/guide/facts/nodes/head/ip", timeout=10).json()
    assert done.stdout == f"{stored['value']}\n"


def test_the_late_bound_url_asks_again_after_a_time_that_brought_nothing(
    api: ApiServer,
) -> None:
    reader = code("how-to/late-bound-url.rst", "shell")[0].replace("wait=50", "wait=1")
    url = f"{api.url}/v1/stacks/patience/facts/nodes/head/ip"
    asked = subprocess.Popen(
        ["bash", "-c", f"STACK={api.url}/v1/stacks/patience TOKEN=none\n{reader}\necho $HEAD_IP"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert asked.stderr is not None
    assert "404" in asked.stderr.readline()  # the first time is over
    requests.put(url, data="10.0.0.5", timeout=10)
    assert asked.communicate(timeout=30)[0] == "10.0.0.5\n"
