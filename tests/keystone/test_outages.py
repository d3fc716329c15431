"""When Keystone is away: who is known goes on, who is not must try again."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from tests.eventually import eventually
from tests.http import refused
from tests.keystone.conftest import with_token
from tests.service import ApiServer, check_log


@pytest.fixture
def lonely(
    etcd: EtcdServer, private_keystone: KeystoneServer, tmp_path: Path
) -> Iterator[ApiServer]:
    """A service whose Keystone the test may stop; it asks again about a token after a while."""
    options = {
        "keystone_authtoken": {
            "token_cache_time": 300,
            "http_connect_timeout": 3,  # a busy Keystone takes its time, too
            "http_request_max_retries": 0,
        }
    }
    with ApiServer(
        [etcd.endpoint],
        tmp_path / "api",
        auth="keystone",
        keystone=private_keystone,
        options=options,
    ) as service:
        yield service
        check_log(service)


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_without_keystone_known_tokens_work_and_others_must_try_again(
    private_keystone: KeystoneServer, lonely: ApiServer, stack: str, how: str
) -> None:
    accounts = private_keystone.accounts
    with (
        with_token(lonely, accounts.issue("owner")) as known,
        with_token(lonely, accounts.issue("reader")) as new,
        with_token(lonely, "junk") as junk,
    ):
        assert known.put(f"{stack}/facts/a", 1).status_code == HTTPStatus.CREATED
        (private_keystone.kill if how == "killed" else private_keystone.pause)()
        for caller in (new, junk):
            answer = caller.get(stack)
            refused(answer, "503 identity_unavailable")  # never 401: the token may well be good
            assert int(answer.headers["Retry-After"]) >= 1
        assert known.put(f"{stack}/facts/a", 2).status_code == HTTPStatus.OK
        assert known.get("/").status_code == HTTPStatus.OK
        if how == "killed":
            private_keystone.start()
            private_keystone.wait_ready()
        else:
            private_keystone.resume()
        eventually(lambda: new.get(stack).status_code == HTTPStatus.OK)
        refused(junk.get(stack), "401 unauthorized")
