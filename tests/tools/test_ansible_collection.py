"""The Ansible collection: built, installed, and used by a playbook and an inventory."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
import yaml

from factstore.client import Stack, connect
from tests.docs.pages import ROOT
from tests.tools.conftest import Slurm
from tests.tools.running import run

COLLECTION = ROOT / "ansible"
PLAY = Path(__file__).parent / "ansible_play.yaml"
PLUGINS = "ansible_collections.factstore.stack.plugins"
HOSTILE = "{{ lookup('pipe', 'touch ' + ran) }}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build and install the collection, and return the folder."""
    folder = tmp_path_factory.mktemp("ansible")
    (folder / "ansible.cfg").touch()
    galaxy, env = ("ansible-galaxy", "collection"), environ(folder)
    run(*galaxy, "build", COLLECTION, "--output-path", folder, env=env)
    (archive,) = folder.glob("factstore-stack-*.tar.gz")
    run(*galaxy, "install", archive, "--offline", "-p", folder / "collections", env=env)
    return folder


def environ(folder: Path) -> dict[str, str]:
    return {
        "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_NOCOLOR": "1",
    }


def test_a_playbook_sets_reads_and_awaits_facts(folder: Path, slurm: Slurm, tmp_path: Path) -> None:
    variables = {
        "ansible_python_interpreter": sys.executable,
        "url": slurm.url.partition("/v1/")[0],
        "stack": slurm.name,
        "folder": str(tmp_path),
        "ran": str(tmp_path / "ran"),
    }
    more = ("--connection", "local", "--extra-vars", json.dumps(variables))
    played = run("ansible-playbook", "-i", "localhost,", *more, PLAY, env=environ(folder))
    assert "hunter2" not in played.stdout
    created, checked, late, (found,) = json.loads((tmp_path / "found").read_text())
    assert found == {"b": [1, None], "c": HOSTILE}
    assert not (tmp_path / "ran").exists()
    assert created["changed"]
    assert created["fact"]["value"] == found
    assert (checked["changed"], checked.get("fact")) == (True, None)
    assert late["waiter"]["state"] == "timed_out"
    assert "2 of 9" in late["msg"]


def test_the_inventory_is_that_of_the_members(folder: Path, slurm: Slurm, tmp_path: Path) -> None:
    slurm.put("nodes/c1/net/mgmt", "192.0.2.11")
    slurm.put("nodes/c1/evil", "{{ lookup('pipe', 'touch ran') }}")
    about = {
        "plugin": "factstore.stack.members",
        "url": slurm.url.partition("/v1/")[0],
        "stack": slurm.name,
        "address": "net/mgmt",
        "keyed_groups": [{"key": "factstore.attributes.rack", "prefix": "rack"}],
        "cache": True,
        "cache_plugin": "ansible.builtin.jsonfile",
        "cache_connection": str(tmp_path / "cache"),
    }
    source = tmp_path / "factstore.yml"
    source.write_text(yaml.safe_dump(about))
    first = inventory(folder, source)
    hosts = first["_meta"]["hostvars"]
    assert first["compute"]["hosts"] == ["c1"]
    assert sorted(first["rack_r1"]["hosts"]) == ["c1", "head"]
    assert hosts["c1"]["ansible_host"] == "192.0.2.11"
    assert "ansible_host" not in hosts["head"]
    assert "touch ran" in hosts["c1"]["factstore"]["facts"]["evil"]
    assert hosts["head"]["factstore_stack"]["facts"]["cluster"] == {"size": 1}
    assert not (tmp_path / "ran").exists()
    slurm.put("nodes/c1/net/mgmt", "192.0.2.12")
    cached = inventory(folder, source)
    assert cached["_meta"]["hostvars"]["c1"]["ansible_host"] == "192.0.2.11"


def inventory(folder: Path, source: Path) -> Any:
    command = ("ansible-inventory", "-i", source, "--list")
    printed = run(*command, env=environ(folder), cwd=source.parent).stdout
    return json.loads(printed, object_hook=lambda each: each.get("__ansible_unsafe", each))


# The modules, without the seconds that Ansible takes to start each of them


class Failed(Exception):
    """A module has called fail_json()."""


class Module(SimpleNamespace):
    """The part of AnsibleModule that modules use."""

    def __init__(self, check_mode: bool = False, **params: Any) -> None:
        defaults = dict.fromkeys(
            ("value", "ttl", "member", "group", "path", "success", "failure", "waiter", "id")
        )
        own = {"kind": "observed", "sensitive": False, "readers": [], "recursive": False}
        more = {"role": "reader", "converged": False, "timeout": 1}
        super().__init__(
            params={**defaults, **own, **more, **params},
            check_mode=check_mode,
            no_log_values=set[str](),
        )

    def fail_json(self, msg: str, **more: Any) -> NoReturn:
        raise Failed(msg)


@pytest.fixture
def stack(slurm: Slurm) -> Stack:
    return connect(slurm.url.partition("/v1/")[0]).stack(slurm.name)


@pytest.fixture
def load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that imports a plugin of the collection."""
    monkeypatch.syspath_prepend(str(folder / "collections"))
    return lambda name: importlib.import_module(f"{PLUGINS}.{name}")


def test_a_fact_is_changed_once(load: Any, stack: Stack) -> None:
    fact = load("modules.fact")
    wanted = {"path": "a", "value": {"x": 1}}
    assert fact.put(Module(check_mode=True, **wanted), stack)["changed"]
    assert fact.put(Module(**wanted), stack)["changed"]
    for check_mode in (False, True):
        assert not fact.put(Module(check_mode, **wanted), stack)["changed"]
    assert fact.put(Module(True, path="a", value={"x": 1}, ttl=60), stack)["changed"]
    secret = Module(path="s", value="hunter2", sensitive=True, readers=["group/head"])
    assert fact.put(secret, stack)["fact"]["value"] is None
    assert secret.no_log_values == {"hunter2"}
    assert not fact.put(Module(True, **secret.params), stack)["changed"]


def test_check_mode_sees_the_differences_that_the_service_sees(load: Any, stack: Stack) -> None:
    fact = load("modules.fact")
    values = [1, 1.0, True, [1], [True], {"a": 0}, {"a": False}, None]
    for before in values:
        stack.put("a", before)
        changed = [
            fact.put(Module(True, path="a", value=each), stack)["changed"] for each in values
        ]
        assert [each for each, differs in zip(values, changed, strict=True) if not differs] == [
            before
        ]
        assert changed.count(False) == 1


CLOUDS = {"broken": {"auth_type": "password"}, "down": {"auth_type": "nonsense"}}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"name": "", "url": "http://127.0.0.1:1"}, "The stack name '' is not valid"),
        ({"name": "s", "url": "nonsense"}, "'nonsense' is not a URL"),
        ({"name": "s", "cloud": "typo"}, "has no cloud 'typo'. Its clouds are broken, down."),
        ({"name": "s", "cloud": "broken"}, "OS_AUTH_URL"),
        ({"name": "s", "cloud": "down"}, "nonsense"),
    ],
)
def test_a_wrong_option_is_reported_without_a_traceback(
    load: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, str],
    problem: str,
) -> None:
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": CLOUDS}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    client = load("module_utils.client")
    parameters = {**dict.fromkeys(client.CONNECTION), "stack": options["name"], **options}
    with pytest.raises(Failed, match=re.escape(problem)):
        client.run(Module(**parameters), lambda module, stack: {})


def test_the_option_cloud_takes_precedence_over_variables(
    load: Any, slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = {"auth_type": "none", "auth": {"endpoint": slurm.url.partition("/v1/")[0]}}
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"lab": lab}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    for name, value in {
        "AUTH_TYPE": "none",
        "ENDPOINT": "http://127.0.0.1:1",
        "CLOUD": "x",
    }.items():
        monkeypatch.setenv(f"OS_{name}", value)
    stack = load("module_utils.client").open_stack(slurm.name, cloud="lab")
    assert stack.get("cluster/size").value == 1


def test_facts_and_folders_are_deleted_once(load: Any, stack: Stack) -> None:
    fact = load("modules.fact")
    for wanted in ({"path": "cluster/size"}, {"path": "nodes", "recursive": True}):
        for check_mode in (True, False):
            assert fact.delete(Module(check_mode, **wanted), stack)["changed"], wanted
            assert fact.delete(Module(check_mode, **wanted), stack)["changed"] is check_mode
        assert not fact.delete(Module(True, **wanted), stack)["changed"]
    assert stack.snapshot().facts == ()


def test_a_wait_returns_or_fails(load: Any, stack: Stack) -> None:
    wait = load("modules.fact_wait").wait
    assert wait(Module(path="cluster/size"), stack)["fact"]["value"] == 1
    condition = {"facts": "nodes/*/ip", "present": True, "count": 2}
    assert wait(Module(success=condition), stack)["waiter"]["state"] == "met"
    with pytest.raises(Failed, match="lagging: c1, head"):
        wait(Module(converged=True, timeout=0), stack)
    with pytest.raises(Failed, match="it has no members to wait for"):
        wait(Module(converged=True, group="none", timeout=0), stack)
    stack.waiter("w").arm({"signals": 1})
    with pytest.raises(Failed, match="still pending; missing: signals"):
        wait(Module(waiter="w", timeout=0), stack)


def test_a_grant_is_issued_and_revoked(load: Any, stack: Stack) -> None:
    grant = load("modules.grant")
    assert grant.issue(Module(check_mode=True), stack) == {"changed": True}
    assert list(stack.grants()) == []
    issued = grant.issue(Module(ttl=600), stack)["grant"]
    assert (issued["role"], issued["ttl"]) == ("reader", 600)
    assert issued["token"].startswith(issued["id"])
    assert grant.revoke(Module(True, id=issued["id"]), stack)["changed"]
    assert grant.revoke(Module(id=issued["id"]), stack)["changed"]
    assert not grant.revoke(Module(id=issued["id"]), stack)["changed"]


@pytest.mark.parametrize("name", ["fact", "fact_wait", "grant"])
def test_the_documentation_of_a_module_is_that_of_its_options(load: Any, name: str) -> None:
    module = load(f"modules.{name}")

    def capture(argument_spec: dict[str, Any], **rules: Any) -> NoReturn:
        raise Failed(argument_spec)

    module.AnsibleModule = capture
    with pytest.raises(Failed) as failed:
        module.main()
    (specification,) = failed.value.args
    options = documentation(module)["options"]
    assert options.keys() == specification.keys()
    for option, about in specification.items():
        documented = {key: value for key, value in options[option].items() if key != "description"}
        assert documented == {key: value for key, value in about.items() if key != "no_log"}, option


@pytest.mark.parametrize("plugin", ["lookup.fact", "inventory.members"])
def test_the_documentation_of_a_plugin_is_complete(load: Any, plugin: str) -> None:
    module = load(plugin)
    assert {"url", "grant", "cloud", "stack"} <= documentation(module)["options"].keys()


def documentation(module: Any) -> Any:
    """Return the documentation of a plugin, with the options of all connections."""
    found = yaml.safe_load(module.DOCUMENTATION)
    yaml.safe_load(module.EXAMPLES)
    fragment = importlib.import_module(f"{PLUGINS}.doc_fragments.connection")
    shared = yaml.safe_load(fragment.ModuleDocFragment.DOCUMENTATION)
    found["options"] = {**shared["options"], **found["options"]}
    return found
