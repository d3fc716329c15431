"""The recipes of the container images, and the compose file, without building them."""

from __future__ import annotations

import configparser
import fnmatch
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

from factstore.cmd.processes.ports import free_port
from factstore.conf.opts import list_opts
from tests.cases import cases

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "compose"
RECIPES = [ROOT / "Containerfile", EXAMPLE / "keystone" / "Containerfile"]
HEALTHCHECK = ROOT / "etc" / "container" / "healthcheck.py"


def instructions(recipe: Path) -> list[tuple[str, str]]:
    """Return the instructions of a recipe, with lines that continue joined."""
    text = re.sub(r"(?m)^#.*\n", "", recipe.read_text()).replace("\\\n", " ")
    lines = (line.split(None, 1) for line in text.splitlines() if line.strip())
    return [(name, " ".join(rest.split())) for name, rest in lines]


def is_sent(path: str) -> bool:
    """Return True if the build gets a file of the checkout."""
    sent = True
    for line in (ROOT / ".containerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").removeprefix("**/")
            names = [path, *[str(each) for each in Path(path).parents]]
            if any(fnmatch.fnmatchcase(name, pattern) for name in names):
                sent = line.startswith("!")
    return sent


def test_the_recipes_follow_the_rules_for_images() -> None:
    with cases() as case:
        for recipe in RECIPES:
            with case(recipe.relative_to(ROOT)):
                found = instructions(recipe)
                last = dict(found)
                base = re.compile(r"ARG BASE=[\w.-]+\.\w+/[\w./-]+:[\w.-]+$", re.MULTILINE)
                assert base.search(recipe.read_text()), "the base has a registry and a tag"
                assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"]), "a number, and not root"
                assert isinstance(json.loads(last["CMD"]), list), (
                    "a shell would not pass signals on"
                )
                assert "ADD" not in last
                for name, text in found:
                    if name == "RUN" and "apt-get install" in text:
                        assert "--no-install-recommends" in text
                        assert text.endswith("rm -rf /var/lib/apt/lists/*")
                    if name == "COPY" and not text.startswith("--from"):
                        for source in text.split()[:-1]:
                            assert (recipe.parent / source).exists(), source
        health = dict(instructions(RECIPES[0]))["HEALTHCHECK"]
        with case("the healthcheck"):
            assert health.endswith('CMD ["healthcheck"]')
            assert HEALTHCHECK.stat().st_mode & 0o111


def test_the_build_gets_the_package_and_nothing_large() -> None:
    with cases() as case:
        for path in (
            *("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "constraints.txt"),
            *("tools/agent_zipapp.py", "tools/agent_main.py", "factstore/cmd/serve.py"),
            "etc/container/healthcheck.py",
        ):
            with case(path):
                assert (ROOT / path).exists()
                assert is_sent(path)
        for path in (".git/config", ".tox/test/bin/python", "tests/cases.py", ".standalone/x"):
            with case(path):
                assert not is_sent(path)


def test_the_compose_file_is_complete() -> None:
    document = yaml.safe_load((EXAMPLE / "compose.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    services = document["services"]
    with cases() as case:
        for name, service in services.items():
            with case(name):
                assert service["image"].count(":") <= 1
                assert set(service.get("depends_on", ())) <= set(services)
                for volume in service.get("volumes", ()):
                    source = volume.partition(":")[0]
                    known = source in document["volumes"] or (EXAMPLE / source).is_file()
                    assert known, source
                for port in service.get("ports", ()):
                    assert port.startswith("127.0.0.1:"), "nothing is encrypted"
                if service["image"] == "localhost/factstore":
                    assert service["read_only"]
                    assert service["cap_drop"] == ["ALL"]
                    assert service["command"][0] in {"sh", *project["scripts"]}


def test_the_configuration_of_the_example_has_options_that_exist() -> None:
    parser = configparser.RawConfigParser(strict=True, default_section="none")
    parser.read(EXAMPLE / "factstore.conf")
    known = {(group, option.dest) for group, options in list_opts() for option in options}
    names = {(str(getattr(group, "name", group) or "DEFAULT"), dest) for group, dest in known}
    for section in ("api", "etcd", "DEFAULT"):
        for option in parser[section]:
            assert (section, option) in names, (section, option)


def test_the_healthcheck_states_why_a_container_is_not_healthy() -> None:
    url = f"http://127.0.0.1:{free_port()}/healthcheck"
    done = subprocess.run(
        [sys.executable, HEALTHCHECK],
        env={"FACTSTORE_HEALTHCHECK": url, "http_proxy": "http://192.0.2.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert url in done.stderr
    assert "refused" in done.stderr
    assert "Traceback" not in done.stderr
