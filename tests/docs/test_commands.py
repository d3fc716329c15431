"""The pages about the ``factstore`` command match its behaviour."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from factstore.client.render import RENDERERS
from factstore.cmd import migrate
from factstore.cmd.main import make_parser
from factstore.cmd.processes.api import write_options
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.purge import PATIENCE
from factstore.store import codec
from factstore.store.fsck.report import ADVICE
from factstore.store.keyspace import Keyspace
from factstore.store.types import Credentials, PutKey, Txn
from tests.commands import one_line
from tests.contract.world import soon
from tests.docs.test_guides import DOC, code
from tests.patient_client import PatientClient
from tests.unit.core.factories import stack


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the subcommands' parsers by name."""
    found = [a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(found[0].choices)


def documented() -> dict[str, set[str]]:
    """Return the documented options, as ``--name METAVAR``, by subcommand."""
    text = (DOC / "reference" / "commands.rst").read_text()
    parts = re.split(r"^factstore ([\w-]+)\n=+\n", text, flags=re.MULTILINE)[1:]
    return {
        name: set(re.findall(r"^``(--[^`]+)``", body, re.MULTILINE))
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


def test_every_subcommand_and_option_is_in_the_reference_and_no_other() -> None:
    known = {
        name: {
            " ".join([action.option_strings[-1], *_metavar(action)])
            for action in parser._actions
            if action.option_strings and action.dest != "help"
        }
        for name, parser in commands().items()
    }
    assert documented() == known


def test_every_option_of_factstore_migrate_is_in_the_reference_and_no_other() -> None:
    known = [
        " ".join([action.option_strings[-1], *_metavar(action)])
        for action in migrate.make_parser()._actions
        if action.option_strings and action.dest != "help"
    ]
    assert re.findall(r"^``(--[^`]+)``", page("migrate"), re.MULTILINE) == known


def _metavar(action: argparse.Action) -> list[str]:
    return [] if action.nargs == 0 else [str(action.metavar or action.dest.upper())]


def test_the_reference_states_the_defaults() -> None:
    text = (DOC / "reference" / "commands.rst").read_text()
    assert f"Default: {PATIENCE:g}." in text
    options = vars(commands()["standalone"].parse_args([]))
    assert f"Default: {options['port']}." in text
    assert f"Default: {options['workers']}." in text


def test_every_format_is_in_both_references_and_no_other() -> None:
    table = page("renderers").partition("Equal contexts")[0]
    assert list(RENDERERS) == re.findall(r"^``([\w-]+)``", table, re.MULTILINE)
    row = page("commands").partition("``FORMAT``")[2].partition("``FILE``")[0]
    assert list(RENDERERS) == re.findall(r"``([\w-]+)``", row)


def page(name: str) -> str:
    return (DOC / "reference" / f"{name}.rst").read_text()


def test_every_kind_of_finding_is_explained_and_no_other() -> None:
    page = (DOC / "admin" / "keyspace.rst").read_text()
    table = page.partition("\nFindings\n")[2].partition("Each finding is printed")[0]
    assert re.findall(r"^``(\w+)``", table, re.MULTILINE) == list(ADVICE)


WITHOUT_SERVER = """\
import sys
sys.modules.update(dict.fromkeys(["etcd3", "flask", "gevent", "grpc", "oslo_config"]))
from factstore.cmd.main import main
"""
RUN = "sys.exit(main(sys.argv[1:]))"
PRINT_ALL_HELP = """\
for name in sys.argv[1:]:
    try:
        main([name, "--help"])
    except SystemExit as end:
        assert end.code == 0, name
"""


def client_only(*arguments: str, run: str = RUN) -> subprocess.CompletedProcess[str]:
    """Run ``factstore`` without the packages that only a service needs."""
    argv = [sys.executable, "-c", f"{WITHOUT_SERVER}{run}", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_every_subcommand_prints_help_without_the_server_packages() -> None:
    asked = client_only(*commands(), run=PRINT_ALL_HELP)
    assert asked.returncode == 0, asked.stderr
    assert re.findall(r"^usage: factstore ([\w-]+)", asked.stdout, re.MULTILINE) == list(commands())


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("verify",), 2),
        (("purge", "--project", "p"), 1),
        (("renew-epoch",), 1),
        (("standalone", "--state", "/nowhere/state"), 1),
    ],
)
def test_without_the_services_packages_one_line_names_the_extra(
    arguments: tuple[str, ...], status: int
) -> None:
    line = one_line(client_only(*arguments), status)
    assert line.endswith("is not installed: install openstack-factstore[server]")


# Dead projects

OPENSTACK = """\
#!/bin/sh
test "$*" = "project list -f value -c ID" || exit 64
{answer}
"""


def dead_projects(
    folder: Path, answer: str, factstore: str, config: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the guide's script with this answer of Keystone.

    :param factstore: a shell command that runs ``factstore``.
    """
    for name, text in (
        ("openstack", OPENSTACK.format(answer=answer)),
        ("factstore", f"#!/bin/sh\n{factstore}\n"),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (script,) = code("admin/keyspace.rst", "shell")
    return subprocess.run(
        ["bash", "-c", script],
        env={
            **os.environ,
            "PATH": f"{folder}:{os.environ['PATH']}",
            "OS_FACTSTORE_CONFIG_FILES": str(config),
            "TMPDIR": str(folder),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_guide_finds_the_projects_that_keystone_does_not_know(
    etcd: EtcdServer, tmp_path: Path
) -> None:
    keys = Keyspace(f"/test/{uuid.uuid4().hex}")
    raw = PatientClient([etcd.endpoint], Credentials())
    puts = [PutKey(keys.epoch, b"ab" * 16), PutKey(keys.receipt("b", "k"), b"unreadable")]
    for name in ("a", "b", "c"):
        record = codec.encode_stack(stack(stack_id=f"id-{name}"))
        puts.append(PutKey(keys.stack(name, "slurm"), record))
    raw.transact(Txn([], puts), deadline=soon())
    raw.close()
    config = tmp_path / "conf"
    write_options(config, {"etcd": {"endpoints": etcd.endpoint, "root": keys.root}})
    program = f'exec {sys.executable} -m factstore.cmd.main "$@"'
    run = dead_projects(tmp_path, "echo b; echo z", program, config)
    assert set(run.stderr.splitlines()) == {f"configuration: {config}"}
    assert run.stdout == "".join(f"project {name}:\n  stack slurm: 0 facts\n" for name in "ac")
    assert not list(tmp_path.glob("tmp*"))


@pytest.mark.parametrize("answer", ["exit 1", "echo a; exit 1", ":"])
def test_the_guides_liveness_check_passes_while_keystone_is_away(
    tmp_path: Path, answer: str
) -> None:
    report = """{"projects": [{"id": "a"}, {"id": "b"}]}"""
    run = dead_projects(tmp_path, answer, f"test $1 = verify && echo '{report}'")
    assert run.returncode != 0
    assert run.stdout == ""
    assert len(list(tmp_path.glob("tmp*"))) == 3  # it had begun
