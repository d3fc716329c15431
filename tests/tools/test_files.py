"""The recipes of the guide for tools that read files work with the tools themselves."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from factstore.client.render import RENDERERS
from tests.commands import factstore
from tests.docs.pages import code
from tests.tools.conftest import Slurm
from tests.tools.running import PAGE, run, shell

FETCH, BAGS, FACTS, FACTER, INVENTORY, ENV, HOSTS, JOIN = code(PAGE, "shell")
HERE = ("--connection", "local", "--extra-vars", f"ansible_python_interpreter={sys.executable}")
HOSTILE = "{{ lookup('pipe', 'touch %s') }}"


@pytest.fixture
def context(slurm: Slurm, tmp_path: Path) -> Path:
    """Return the directory in which the guide's first recipe has stored a context."""
    shell(FETCH, cwd=tmp_path, env={"STACK": slurm.url})
    return tmp_path


# chef-solo: Chef is not packaged, so its rules are repeated here


NAME = re.compile(r"[.\-A-Za-z0-9_]+")
RESERVED = {"node", "role", "environment", "client"}


def data_bag(path: Path, bag: str) -> dict[str, dict[str, object]]:
    """Return the items of a bag, as chef-solo finds them below its ``data_bag_path``."""
    assert NAME.fullmatch(bag)
    assert bag not in RESERVED
    items = {}
    for file in (path / bag).glob("*.json"):
        item = json.loads(file.read_text())
        assert NAME.fullmatch(item["id"])
        assert item["id"] not in items
        assert file.name == f"{item['id']}.json"  # where data_bag_item looks for it
        items[item["id"]] = item
    return items


def test_chef_solo_finds_facts_and_members_in_data_bags(slurm: Slurm, context: Path) -> None:
    (path,) = re.findall(r"data_bag_path '(.*?)'", "".join(code(PAGE, "ruby")))
    assert path in BAGS
    bags = context / "bags"
    make = BAGS.replace(path, str(bags))
    (bags / "own").mkdir(parents=True)
    (bags / "own" / "mine.json").write_text('{"id": "mine"}')
    shell(make, cwd=context)
    assert {each.name for each in bags.iterdir() if not each.name.startswith(".")} == {
        "nodes",
        "cluster",
        "factstore",
        "own",
    }
    assert data_bag(bags, "nodes") == {
        "head": {"id": "head", "ip": "10.0.0.5"},
        "c1": {"id": "c1", "ip": "10.0.0.11"},
    }
    assert data_bag(bags, "cluster") == {"size": {"id": "size", "value": 1}}
    members = data_bag(bags, "factstore")["context"]["members"]
    assert isinstance(members, dict)
    assert members["c1"]["group"] == "compute"
    slurm.delete("facts/nodes/c1/ip")
    shell(f"{FETCH}\n{make}", cwd=context, env={"STACK": slurm.url})
    assert list(data_bag(bags, "nodes")) == ["head"]
    assert list(data_bag(bags, "own")) == ["mine"]


# Facter


@pytest.mark.skipif(
    shutil.which("facter") is None and shutil.which("dpkg") is None,
    reason="there is no Facter, which not every distribution has",
)
def test_facter_reads_the_facts_and_keeps_its_own(slurm: Slurm, context: Path) -> None:
    slurm.put("os", {"family": "evil"})
    (folder,) = re.findall(r"into (\S+)/factstore\.json", FACTS)
    shell(f"{FETCH}\n{FACTS.replace(folder, 'facts.d')}", cwd=context, env={"STACK": slurm.url})
    shown = FACTER.replace("facter", f"facter --external-dir {context / 'facts.d'}", 1)
    assert shell(shown).stdout == "10.0.0.5\n"
    asking = run("facter", "--external-dir", context / "facts.d", "--json", "factstore", "os")
    known = json.loads(asking.stdout)
    assert known["factstore"] == json.loads((context / "context.json").read_text())
    assert known["os"]["family"] not in ("evil", None)


# Ansible


def ansible(program: str, *arguments: str | Path, folder: Path) -> str:
    """Run a program of Ansible with only these settings, and return its output."""
    (folder / "ansible.cfg").touch()
    settings = {
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_NOCOLOR": "1",
    }
    return run(program, "-i", folder / "slurm.yaml", *arguments, env=settings, cwd=folder).stdout


def test_ansible_finds_members_in_their_groups(context: Path) -> None:
    graph = shell(INVENTORY, cwd=context, env={"ANSIBLE_HOME": str(context)}).stdout
    assert re.findall(r"@?\w+(?=:?$)", graph, re.MULTILINE) == [
        "@all",
        "@ungrouped",
        "@compute",
        "c1",
        "@control",
        "head",
    ]
    known = json.loads(ansible("ansible-inventory", "--host", "c1", folder=context))
    assert known["ansible_host"] == "10.0.0.11"
    assert known["factstore"]["attributes"] == {"rack": "r1"}


def test_a_playbook_uses_a_fact_of_another_host(slurm: Slurm, context: Path) -> None:
    shell(INVENTORY, cwd=context, env={"ANSIBLE_HOME": str(context)})
    (play,) = yaml.safe_load(*code(PAGE, "yaml"))
    for task in play["tasks"]:
        copying = task["ansible.builtin.copy"]
        copying["dest"] = str(context / Path(copying["dest"]).name)
    (context / "play.yaml").write_text(yaml.safe_dump([play]))
    ansible("ansible-playbook", *HERE, "play.yaml", folder=context)
    assert (context / "slurmd").read_text() == "SLURMD_OPTIONS='--conf-server 10.0.0.5'\n"
    assert (context / "motd").read_text() == f"{slurm.name}, rack r1\n"


def test_ansible_does_not_execute_templates_in_facts(slurm: Slurm, context: Path) -> None:
    ran = context / "ran"
    hostile = HOSTILE % ran
    slurm.put("nodes/c1/motd", hostile)
    slurm.put("nodes/c1/list", [{"a": hostile}])
    slurm.put("nodes/c1/ansible_python_interpreter", "/bin/false")
    slurm.put("motd", hostile)
    shell(f"{FETCH}\n{INVENTORY}", cwd=context, env={"STACK": slurm.url})
    said = "[factstore.facts.motd, factstore.facts.list, factstore_stack.facts.motd]"
    asked = ("c1", *HERE, "-m", "debug", "-a", f"msg={{{{ {said} }}}}")
    printed = ansible("ansible", *asked, folder=context)
    assert printed.count("touch") == 3
    assert not ran.exists()
    # Without the mark, the same value is evaluated: this is the reason for the mark.
    plain = (context / "slurm.yaml").read_text().replace("!unsafe", "")
    (context / "slurm.yaml").write_text(plain)
    ansible("ansible", *asked, folder=context)
    assert ran.exists()


# Shells and host names


def test_a_shell_reads_the_facts(context: Path) -> None:
    assert shell(ENV, cwd=context).stdout == "10.0.0.5\n"


def test_a_hosts_file_has_the_nodes(context: Path) -> None:
    (context / "hosts.local").write_text("127.0.0.1 localhost\n")
    shell(f"{HOSTS}\n{JOIN}".replace("/etc/", f"{context}/"), cwd=context)
    lines = (context / "hosts").read_text().splitlines()
    assert lines == ["127.0.0.1 localhost", "10.0.0.11\tc1", "10.0.0.5\thead"]


def test_rendered_files_stay_when_the_service_refuses(slurm: Slurm, context: Path) -> None:
    shell(HOSTS.replace("/etc/", f"{context}/"), cwd=context)
    before = (context / "hosts.slurm").stat().st_mtime_ns
    gone = f"{slurm.url}-that-is-not-there"
    shell(
        f"{{ {FETCH} || true; }} 2>/dev/null\n{HOSTS.replace('/etc/', f'{context}/')}",
        cwd=context,
        env={"STACK": gone},
    )
    assert (context / "hosts.slurm").stat().st_mtime_ns == before


def test_no_file_contains_a_sensitive_value(slurm: Slurm, context: Path) -> None:
    slurm.put("db/password", "s3cret", sensitive=True)
    slurm.put("nodes/c1/key", "s3cret", sensitive=True)
    shell(FETCH, cwd=context, env={"STACK": slurm.url})
    for name in RENDERERS:
        made = factstore(
            "render", name, context / "context.json", "--into", context / "made" / name
        )
        assert made.returncode == 0, made.stderr
    files = [file for file in (context / "made").rglob("*") if file.is_file()]
    assert len(files) > len(RENDERERS)
    assert not any("s3cret" in file.read_text() for file in files)
    assert "PASSWORD" not in (context / "made" / "env").read_text()
    assert json.loads((context / "made/data-bags/db/password.json").read_text()) == {
        "id": "password",
        "value": None,
    }
