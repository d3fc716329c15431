"""Keys of a service that runs: made, changed under load, lost, and brought back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path

import pytest
import requests

from factstore.cmd.processes.api import write_options
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.ports import free_port
from factstore.keys.repository import Repository
from tests.commands import config_of, factstore, one_line
from tests.eventually import eventually
from tests.http import Caller, fresh_stack, refused
from tests.sealing_keys import lose_keys, make_keys, rotate_keys
from tests.service import ApiServer, check_log

SECRET = "canary-secret"
PAUSE = 0.05  # seconds between two reads of a reader; others use the same cores


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sealing")


@pytest.fixture(scope="module")
def service(etcd: EtcdServer, folder: Path) -> Iterator[ApiServer]:
    """Two workers on a root of their own, whose keys tests may change."""
    options = {"etcd": {"root": "/test/sealing"}}
    with ApiServer([etcd.endpoint], folder, workers=2, options=options) as server:
        yield server
        check_log(server, SECRET)


@pytest.fixture
def api(service: ApiServer) -> Iterator[Caller]:
    with Caller(service.url) as caller:
        yield caller


@pytest.fixture
def stack(api: Caller) -> Iterator[str]:
    """The path of a stack; it is gone after the test, with whatever its data key became."""
    path = f"/v1/stacks/{fresh_stack()}"
    yield path
    api.delete(path)


def put(api: Caller, stack: str, path: str = "key", value: object = SECRET) -> requests.Response:
    return api.put(f"{stack}/facts/{path}", json={"value": value, "sensitive": True})


def rotate(folder: Path, *arguments: str, status: int = 0) -> str:
    result = factstore("rotate-keys", "--config-file", config_of(folder), *arguments)
    assert (result.returncode, result.stderr) == (status, ""), result
    return result.stdout


def numbers(service: ApiServer) -> list[int]:
    return [key.number for key in Repository(service.sealing_keys).read_keys()]


class Readers:
    """Read a sensitive fact again and again, over connections of their own."""

    def __init__(self, url: str, path: str, wanted: object) -> None:
        self.reads = 0
        self.wrong: list[str] = []
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(2)
        for _ in range(2):
            self._pool.submit(self._read, url, path, wanted)

    def _read(self, url: str, path: str, wanted: object) -> None:
        with Caller(url) as caller:
            while not self._over.is_set():
                answer = caller.get(path)
                if answer.status_code != HTTPStatus.OK or answer.json()["value"] != wanted:
                    self.wrong.append(f"{answer.status_code} {answer.text}")
                self.reads += 1
                self._over.wait(PAUSE)

    def stop(self) -> None:
        self._over.set()
        self._pool.shutdown()


def test_no_read_and_no_write_fails_while_keys_change(
    service: ApiServer, api: Caller, stack: str, folder: Path
) -> None:
    put(api, stack).raise_for_status()
    first = api.get(f"{stack}/facts/key").json()
    readers = Readers(service.url, f"{stack}/facts/key", SECRET)
    try:
        for n in range(3):
            before = readers.reads
            rotate(folder)
            put(api, stack, f"made-{n}", n).raise_for_status()
            put(api, stack).raise_for_status()
            eventually(lambda before=before: readers.reads > before)  # type: ignore[misc]
    finally:
        readers.stop()
    assert readers.wrong == []
    assert api.get(f"{stack}/facts/key").json() == first, "no fact was written"
    assert [api.get(f"{stack}/facts/made-{n}").json()["value"] for n in range(3)] == [0, 1, 2]
    assert len(numbers(service)) == 3, "old keys are gone"


def test_a_rotation_reports_its_steps(
    service: ApiServer, api: Caller, stack: str, folder: Path
) -> None:
    put(api, stack).raise_for_status()
    primary = numbers(service)[0]
    said = rotate(folder).splitlines()
    assert said[0].endswith(f": key {primary + 1} is now the primary key, and a new key is staged")
    assert "1 data key rewrapped, 0 already up to date" in said[1]
    assert rotate(folder, "--reseal-only").startswith("0 data keys rewrapped")
    said = rotate(folder, "--no-reseal").splitlines()
    assert len(said) == 1
    assert numbers(service)[0] == primary + 2
    assert not rotate(folder, "--reseal-only").startswith("0 data keys rewrapped")


def test_a_lost_key_affects_only_the_facts_that_need_it_until_it_is_restored(
    service: ApiServer, api: Caller, stack: str, folder: Path
) -> None:
    put(api, stack).raise_for_status()
    api.put(f"{stack}/facts/open", 1).raise_for_status()
    cursor = api.get(f"{stack}/facts").json()["cursor"]
    primary = numbers(service)[0]
    kept = (service.sealing_keys / str(primary)).read_bytes()
    rotate_keys(service.sealing_keys)
    lose_keys(service.sealing_keys, primary)
    eventually(lambda: api.get(f"{stack}/facts/key").status_code == 503)
    entry = refused(eventually_broken(api, f"{stack}/facts/key"), "503 seal_broken")
    assert str(service.sealing_keys) not in entry["detail"]
    eventually(lambda: put(api, stack).status_code == 503)
    other = f"/v1/stacks/{fresh_stack()}"
    assert put(api, other).status_code == HTTPStatus.CREATED
    assert api.get(f"{other}/facts/key").json()["value"] == SECRET
    assert api.get(f"{stack}/facts/open").json()["value"] == 1
    assert [fact["value"] for fact in api.get(f"{stack}/facts").json()["facts"]] == [None, 1]
    assert api.get(f"{stack}/context").json()["facts"] == {"key": None, "open": 1}
    assert api.get(f"{stack}/events?since={cursor}").status_code == HTTPStatus.OK
    said = rotate(folder, "--reseal-only", status=1)
    (name,) = [line for line in said.splitlines() if "cannot be unwrapped" in line]
    assert stack.rpartition("/")[2] in name
    assert "/seals/key" in name
    (service.sealing_keys / str(primary)).write_bytes(kept)
    (service.sealing_keys / str(primary)).chmod(0o600)
    eventually(lambda: api.get(f"{stack}/facts/key").status_code == 200)
    assert api.get(f"{stack}/facts/key").json()["value"] == SECRET
    rotate(folder, "--reseal-only")
    api.delete(other)


def eventually_broken(api: Caller, path: str) -> requests.Response:
    """An answer of a worker that has noticed; another may not have looked yet."""
    answers: list[requests.Response] = []

    def broken() -> bool:
        answers.append(api.get(path))
        return answers[-1].status_code == HTTPStatus.SERVICE_UNAVAILABLE

    eventually(broken)
    return answers[-1]


def test_without_keys_only_sensitive_facts_are_refused(etcd: EtcdServer, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    options = {"etcd": {"root": "/test/none"}, "sealing": {"key_repository": str(missing)}}
    with (
        ApiServer([etcd.endpoint], tmp_path / "api", options=options) as server,
        Caller(server.url) as api,
    ):
        stack = f"/v1/stacks/{fresh_stack()}"
        answer = put(api, stack)
        entry = refused(answer, "503 sealing_unavailable")
        assert "factstore rotate-keys" in entry["detail"]
        assert int(answer.headers["Retry-After"]) >= 30, "an operator has to do something"
        operation = {"put": {"path": "a", "value": SECRET, "sensitive": True}}
        refused(
            api.post(f"{stack}/batch", json={"operations": [operation]}), "503 sealing_unavailable"
        )
        assert api.put(f"{stack}/facts/open", 1).status_code == HTTPStatus.CREATED
        assert api.get("/healthcheck").status_code == HTTPStatus.OK
        assert f"{missing} cannot be read" in server.log_path.read_text()
        made = rotate(tmp_path / "api")
        assert made == f"{missing}: created a primary and a staged key\n"
        eventually(lambda: put(api, stack).status_code == HTTPStatus.CREATED)
        assert api.get(f"{stack}/facts/key").json()["value"] == SECRET
        (missing / "1").chmod(0o644)
        eventually(lambda: api.get(f"{stack}/facts/key").status_code == 503)
        assert f"chmod 0600 {missing / '1'}" in server.log_path.read_text()


def test_no_first_keys_are_created_for_a_store_that_was_sealed_with_others(
    service: ApiServer, api: Caller, stack: str, folder: Path, tmp_path: Path
) -> None:
    put(api, stack).raise_for_status()
    created = Repository(service.sealing_keys).numbers()
    path, config = tmp_path / "misspelled" / "keys", tmp_path / "factstore.conf"
    options = config_of(folder).read_text().replace(str(service.sealing_keys), str(path))
    config.write_text(options)

    def refused_without_a_change() -> None:
        before = sorted(path.iterdir()) if path.exists() else None
        line = one_line(factstore("rotate-keys", "--config-file", config), 1)
        assert f"{path} has no primary key, but the store has" in line
        assert "Copy the directory from another API host" in line
        assert "--no-reseal" in line
        assert (sorted(path.iterdir()) if path.exists() else None) == before

    refused_without_a_change()
    assert not path.parent.exists(), "a misspelled directory is not created"
    path.mkdir(mode=0o700, parents=True)
    refused_without_a_change()
    make_keys(path)
    (path / "1").unlink()
    refused_without_a_change()  # what a rotation would complete
    (path / "0").unlink()
    done = factstore("rotate-keys", "--config-file", config, "--no-reseal")
    assert done.stdout == f"{path}: created a primary and a staged key\n"
    said = factstore("rotate-keys", "--config-file", config, "--reseal-only")
    assert (said.returncode, "cannot be unwrapped" in said.stdout) == (1, True)
    assert Repository(service.sealing_keys).numbers() == created


@pytest.mark.parametrize("option", ["--reseal-only", "--no-reseal", None])
def test_a_directory_of_other_files_is_left_as_it_is(
    service: ApiServer, folder: Path, tmp_path: Path, option: str | None
) -> None:
    path, config = tmp_path / "private", tmp_path / "factstore.conf"
    path.mkdir(mode=0o700)
    (path / "tls.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    options = config_of(folder).read_text().replace(str(service.sealing_keys), str(path))
    config.write_text(options)
    line = one_line(factstore("rotate-keys", "--config-file", config, *filter(None, [option])), 1)
    assert f"{path} has no primary key, and {path}/tls.pem is not a key" in line
    assert "[sealing] key_repository" in line
    assert [each.name for each in path.iterdir()] == ["tls.pem"]


def test_without_etcd_no_key_is_changed_unless_that_is_asked_for(tmp_path: Path) -> None:
    keys, config = make_keys(tmp_path / "keys"), tmp_path / "factstore.conf"
    nowhere = {"endpoints": f"http://127.0.0.1:{free_port()}", "timeout": "1.0"}
    write_options(config, {"etcd": nowhere, "sealing": {"key_repository": str(keys)}})
    before = Repository(keys).read_keys()
    for option in ("", "--reseal-only"):
        arguments = [option] if option else []
        result = factstore("rotate-keys", "--config-file", config, *arguments)
        assert nowhere["endpoints"] in one_line(result, 1)
        assert Repository(keys).read_keys() == before
    assert factstore("rotate-keys", "--config-file", config, "--no-reseal").returncode == 0
    assert [key.number for key in Repository(keys).read_keys()] == [2, 1, 0]


def test_unusable_keys_are_reported_in_one_line(service: ApiServer, folder: Path) -> None:
    key = service.sealing_keys / "0"
    key.chmod(0o640)
    try:
        result = factstore("rotate-keys", "--config-file", config_of(folder))
        assert f"chmod 0600 {key}" in one_line(result, 1)
    finally:
        key.chmod(0o600)
