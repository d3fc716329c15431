"""``factstore-status upgrade check`` finds out whether Keystone's catalog has the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg
from oslo_upgradecheck.upgradecheck import Code

from factstore.cmd import status_checks
from factstore.cmd.processes.api import write_options
from factstore.cmd.processes.keystone import KeystoneServer


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({}, Code.WARNING, "does not answer"),  # the address in the shared catalog is nobody's
        ({"service_type": "another"}, Code.FAILURE, "no public endpoint of type another"),
        ({"password": "wrong"}, Code.FAILURE, "Keystone cannot be used"),
        ({"auth_url": "http://127.0.0.1:9"}, Code.FAILURE, "Keystone cannot be used"),
    ],
)
def test_the_catalog_is_checked(
    keystone: KeystoneServer, tmp_path: Path, changes: dict[str, Any], code: Code, words: str
) -> None:
    options = {**keystone.accounts.authtoken_options(), **changes}
    file = tmp_path / "factstore.conf"
    write_options(file, {"keystone_authtoken": options})
    conf = cfg.ConfigOpts()
    status_checks.register(conf)
    conf([], default_config_files=[str(file)])
    result = status_checks.guarded(status_checks.check_catalog, conf)
    assert (result.code, words in (result.details or "")) == (code, True), result.details
