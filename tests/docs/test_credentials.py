"""Grants and secrets are issued, used and stored as the how-to guides show."""

from __future__ import annotations

import json
import re
from pathlib import Path

import requests

from tests.docs.pages import DOC, code
from tests.docs.scripts import put, setting, shell

CREDENTIALS = "how-to/credentials.rst"
SECRETS = "how-to/secrets.rst"


def test_a_grant_is_issued_used_renewed_and_revoked_as_documented(
    stack: str, tmp_path: Path
) -> None:
    issue, use, basic, renew, revoke, listed, *_ = code(CREDENTIALS, "shell")
    reader = code(CREDENTIALS, "shell")[9]
    given = f"{setting(stack)}set -e\n"
    done = shell(f"{given}{issue}\n{use}\n{basic}\n{renew}\necho $GRANT", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    grant = done.stdout.splitlines()[-1].rpartition("}")[2]
    id_, _, secret = grant.partition(".")
    told = requests.get(f"{stack}/facts/nodes/c1/ip", timeout=60).json()
    assert (told["value"], told["updated_by"]) == ("10.0.0.11", f"grant:{id_}")
    (shown,) = json.loads(shell(given + listed).stdout)["grants"]
    assert (shown["member"], shown["group"]) == ("c1", "compute")
    assert shown["revision"] > told["revision"]  # renewed
    for file in ("grant", "curlrc"):
        assert (tmp_path / file).stat().st_mode & 0o077 == 0
        assert secret in (tmp_path / file).read_text()
    held = f"{given}GRANT={grant}\n"
    assert shell(f"{held}{use}\n{basic}", cwd=tmp_path).returncode == 0
    assert shell(held + revoke).returncode == 0
    assert shell(held + use, cwd=tmp_path).returncode == 22  # curl's for 400 and above
    assert json.loads(shell(given + listed).stdout)["grants"] == []
    read = shell(given + reader, cwd=tmp_path)
    assert json.loads(read.stdout)["facts"] == {"nodes": {"c1": {"ip": "10.0.0.11"}}}


def test_an_instance_of_a_group_gets_its_own_grant_as_documented(
    stack: str, tmp_path: Path
) -> None:
    listed, issue, enrol, revoke = code(CREDENTIALS, "shell")[5:9]
    given = f"{setting(stack)}set -e\n"
    done = shell(f"{given}{issue}\n{enrol}\necho; echo $GROUP", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    group = done.stdout.splitlines()[-1]
    told = requests.get(f"{stack}/facts/nodes/c2/ip", timeout=60).json()
    assert told["value"] == "10.0.0.12"
    shown = {grant["member"]: grant for grant in json.loads(shell(given + listed).stdout)["grants"]}
    assert shown["c2"]["created_by"] == f"grant:{group.partition('.')[0]}"
    assert told["updated_by"] == f"grant:{shown['c2']['id']}"
    for file in ("grant", "group-grant"):
        assert (tmp_path / file).stat().st_mode & 0o077 == 0
    assert shell(f"{given}GROUP={group}\n{revoke}").returncode == 0
    assert json.loads(shell(given + listed).stdout)["grants"] == []


def test_wget_takes_a_grant_with_the_options_that_the_text_names(stack: str) -> None:
    put(stack, "a", 1)
    url = f"{stack}/grants"
    grant = requests.post(url, json={"role": "reader"}, timeout=60).json()
    options = re.findall(r"wget that is ``(.+?)``, ``(.+?)`` and ``(.+?)``", credentials_text())[0]
    alone, user, password = options
    line = f"wget -qO- {alone} {user}={grant['id']} {password}={grant['secret']} {stack}/context"
    assert json.loads(shell(line).stdout)["facts"] == {"a": 1}
    without = line.replace(grant["secret"], "wrong")
    assert shell(without).returncode != 0


def credentials_text() -> str:
    """Return the page as one line."""
    return " ".join((DOC / CREDENTIALS).read_text().split())


# Secrets


def test_a_private_key_is_stored_and_fetched_as_documented(stack: str, tmp_path: Path) -> None:
    put_it, get_it, look, again = code(SECRETS, "shell")
    pem = (
        '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n"quoted" $HOME\n-----END-----\n'
    )
    (tmp_path / "repository.pem").write_text(pem)
    head = {"member": "head", "group": "head"}
    grant = requests.post(f"{stack}/grants", json=head, timeout=60).json()
    (tmp_path / "grant").write_text(f"Authorization: Bearer {grant['token']}\n")
    given = f"{setting(stack)}set -e\n"

    def node(script: str) -> str:
        done = shell(given + script, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    fetched = tmp_path / "repository.key"
    assert node(put_it) == ""
    node(get_it)
    assert fetched.read_text() == pem
    assert fetched.stat().st_mode & 0o777 == 0o600
    context = json.loads(node(look))
    (shown,) = code(SECRETS, "text")
    assert json.loads(shown).keys() == context.keys()
    assert context["facts"] == json.loads(shown)["facts"]
    (tag,) = context["sensitive"].values()
    fetched.write_text("kept")
    node(f"ETAG={tag}\n{again}")
    assert fetched.read_text() == "kept"
    (tmp_path / "repository.pem").write_text("another")
    node(put_it)
    node(f"ETAG={tag}\n{again}")
    assert fetched.read_text() == "another"
    fact = requests.get(f"{stack}/facts/chef/repository-key", timeout=60).json()
    assert (fact["readers"], fact["version"]) == (["group/head"], 2)
