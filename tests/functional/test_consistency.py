"""Every client reads the writes of every other at every service; and the promises for retries."""

from __future__ import annotations

import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from tests.http import Caller, refused
from tests.service import ApiServer


def test_every_service_reads_the_writes_of_any_other(
    one_worker: ApiServer, two_workers: ApiServer, stack: str
) -> None:
    with Caller(one_worker.url) as one, Caller(two_workers.url) as two:
        for n in range(30):
            writer, reader = (one, two) if n % 2 else (two, one)
            tag = writer.put(f"{stack}/facts/a", n).headers["ETag"]
            read = reader.get(f"{stack}/facts/a")
            assert (read.json()["value"], read.headers["ETag"]) == (n, tag)
            assert reader.get(f"{stack}/facts").json()["facts"][0]["value"] == n
            assert reader.get(f"{stack}/context").json()["facts"] == {"a": n}
            assert reader.get(stack).json()["usage"]["facts"] == 1
            writer.delete(f"{stack}/facts/a")
            refused(reader.get(f"{stack}/facts/a"), "404 not_found")


def test_a_client_that_meets_now_one_worker_now_another_reads_its_own_writes(
    two_workers: ApiServer, stack: str
) -> None:
    for n in range(40):
        # A connection stays with one worker, so each request takes a new one.
        with Caller(two_workers.url) as writer, Caller(two_workers.url) as reader:
            writer.put(f"{stack}/facts/a", n)
            assert reader.get(f"{stack}/facts/a").json()["value"] == n


def test_a_stack_deleted_at_one_service_is_missing_at_the_other(
    one_worker: ApiServer, two_workers: ApiServer, stack: str
) -> None:
    with Caller(one_worker.url) as one, Caller(two_workers.url) as two:
        for writer, reader in ((one, two), (two, one)):
            writer.put(f"{stack}/facts/a", 1)
            assert reader.get(f"{stack}/facts/a").status_code == HTTPStatus.OK
            assert writer.delete(stack).status_code == HTTPStatus.NO_CONTENT
            refused(reader.get(f"{stack}/facts/a"), "404 not_found")
            assert reader.put(f"{stack}/facts/b", 1).status_code == HTTPStatus.CREATED
            assert [f["path"] for f in writer.get(f"{stack}/facts").json()["facts"]] == ["b"]
            assert reader.delete(stack).status_code == HTTPStatus.NO_CONTENT


def test_of_many_concurrent_creations_one_succeeds(
    one_worker: ApiServer, two_workers: ApiServer, stack: str
) -> None:
    def create(n: int) -> int:
        with Caller((one_worker if n % 2 else two_workers).url) as api:
            answer = api.put(f"{stack}/facts/leader", n, headers={"If-None-Match": "*"})
            return answer.status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(create, range(24)))
    assert sorted(statuses) == [HTTPStatus.CREATED] + [HTTPStatus.PRECONDITION_FAILED] * 23


def test_no_increment_is_lost_by_compare_and_set(
    one_worker: ApiServer, two_workers: ApiServer, stack: str
) -> None:
    with Caller(one_worker.url) as api:
        api.put(f"{stack}/facts/count", 0)

    def increment(n: int) -> None:
        with Caller((one_worker if n % 2 else two_workers).url) as api:
            while True:
                read = api.get(f"{stack}/facts/count")
                match = {"If-Match": read.headers["ETag"]}
                answer = api.put(f"{stack}/facts/count", read.json()["value"] + 1, headers=match)
                if answer.status_code == HTTPStatus.OK:
                    return
                refused(answer, "412 precondition_failed")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(increment, range(30)))
    with Caller(two_workers.url) as api:
        assert api.get(f"{stack}/facts/count").json()["value"] == 30


def test_no_put_is_lost_that_services_send_together_with_others(
    one_worker: ApiServer, two_workers: ApiServer, stack: str
) -> None:
    # A worker sends the puts of a moment as one, which fails if another worker has written one of them.
    def put(n: int) -> None:
        with Caller((one_worker if n % 2 else two_workers).url) as api:
            for at in range(15):
                for path in ("shared", f"own/{n}"):
                    answer = api.put(f"{stack}/facts/{path}", f"{n} {at}")
                    assert answer.json()["value"] == f"{n} {at}"

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(put, range(10)))
    with Caller(two_workers.url) as api:
        assert api.get(f"{stack}/facts/shared").json()["version"] == 150
        for n in range(10):
            fact = api.get(f"{stack}/facts/own/{n}").json()
            assert (fact["value"], fact["version"]) == (f"{n} 14", 15)


def test_a_fact_and_a_folder_never_both_win(
    one_worker: ApiServer, two_workers: ApiServer, stack: str
) -> None:
    def put(server: ApiServer, path: str) -> int:
        with Caller(server.url) as api:
            return api.put(f"{stack}/facts/{path}", 1).status_code

    with ThreadPoolExecutor(2) as pool:
        for n in range(20):
            paths = [f"x{n}", f"x{n}/below"]
            random.shuffle(paths)
            statuses = list(pool.map(put, (one_worker, two_workers), paths))
            assert sorted(statuses) == [HTTPStatus.CREATED, HTTPStatus.CONFLICT]


def test_pages_show_one_revision_at_whichever_worker(
    one_worker: ApiServer, two_workers: ApiServer, stack: str
) -> None:
    paths = [f"p{n:02}" for n in range(25)]
    operations = [{"put": {"path": path, "value": 1}} for path in paths]
    seen: list[str] = []
    with Caller(one_worker.url) as one, Caller(two_workers.url) as two:
        one.post(f"{stack}/batch", json={"operations": operations}).raise_for_status()
        link, readers = f"{stack}/facts?limit=10", itertools.cycle([one, two])
        cursors = set()
        while link:
            page = next(readers).get(link).json()
            assert {fact["value"] for fact in page["facts"]} == {1}
            seen += [fact["path"] for fact in page["facts"]]
            cursors.add(page["cursor"])
            two.put(f"{stack}/facts/{paths[-1]}", 2)
            two.delete(f"{stack}/facts/{paths[12]}")
            link = next((each["href"] for each in page["links"] if each["rel"] == "next"), "")
    assert seen == paths
    assert len(cursors) == 1


def test_a_retry_with_the_same_key_gets_the_same_answer_and_changes_nothing(
    one_worker: ApiServer, two_workers: ApiServer, stack: str
) -> None:
    key = {"Idempotency-Key": "a b"}
    with Caller(one_worker.url) as one, Caller(two_workers.url) as two:
        first = one.put(f"{stack}/facts/a", 1, headers=key)
        assert first.status_code == HTTPStatus.CREATED
        one.put(f"{stack}/facts/a", "meanwhile")
        for api in (one, two):
            again = api.put(f"{stack}/facts/a", 1, headers=key)
            assert again.status_code == first.status_code
            assert again.json() == first.json()
            for name in ("ETag", "Factstore-Cursor"):
                assert again.headers[name] == first.headers[name]
        assert two.get(f"{stack}/facts/a").json()["value"] == "meanwhile"


def test_a_batch_is_retried_as_safely(api: Caller, stack: str) -> None:
    key = {"Idempotency-Key": "k"}
    api.put(f"{stack}/facts/old", 1)
    body = {
        "guards": [{"path": "old", "exists": True}],
        "operations": [{"put": {"path": "new", "value": 1}}, {"delete": {"path": "old"}}],
    }
    first = api.post(f"{stack}/batch", json=body, headers=key)
    assert first.status_code == HTTPStatus.OK
    again = api.post(f"{stack}/batch", json=body, headers=key)  # the guard would not hold now
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    refused(api.post(f"{stack}/batch", json=body), "412 precondition_failed")


def test_a_deletion_is_retried_as_safely(api: Caller, stack: str) -> None:
    key = {"Idempotency-Key": "k"}
    api.put(f"{stack}/facts/a", 1)
    first = api.delete(f"{stack}/facts/a", headers=key)
    assert first.status_code == HTTPStatus.NO_CONTENT
    api.put(f"{stack}/facts/a", 2)
    again = api.delete(f"{stack}/facts/a", headers=key)
    assert again.status_code == HTTPStatus.NO_CONTENT
    assert api.get(f"{stack}/facts/a").json()["value"] == 2


def test_an_idempotency_key_belongs_to_one_request(api: Caller, stack: str) -> None:
    key = {"Idempotency-Key": "k"}
    api.put(f"{stack}/facts/a", 1, headers=key)
    refused(api.put(f"{stack}/facts/a", 2, headers=key), "409 idempotency_key_reused")
    conditional = {**key, "If-Match": "*"}
    refused(api.put(f"{stack}/facts/a", 1, headers=conditional), "409 idempotency_key_reused")
    plain = {**key, "Content-Type": "text/plain"}
    answer = api.put(f"{stack}/facts/a", data='{"value": 1}', headers=plain)
    refused(answer, "409 idempotency_key_reused")
    assert api.get(f"{stack}/facts/a").json()["value"] == 1


def test_a_key_belongs_to_its_route(api: Caller, stack: str) -> None:
    key = {"Idempotency-Key": "k"}
    assert api.put(f"{stack}/facts/a", 1, headers=key).status_code == HTTPStatus.CREATED
    assert api.put(f"{stack}/facts/b", 2, headers=key).status_code == HTTPStatus.CREATED
    assert api.delete(f"{stack}/facts/a", headers=key).status_code == HTTPStatus.NO_CONTENT


def test_a_refused_request_leaves_no_idempotency_record(api: Caller, stack: str) -> None:
    key = {"Idempotency-Key": "k"}
    refused(api.delete(f"{stack}/facts/a", headers=key), "404 not_found")
    api.put(f"{stack}/facts/a", 1)
    assert api.delete(f"{stack}/facts/a", headers=key).status_code == HTTPStatus.NO_CONTENT


def test_of_many_concurrent_requests_with_one_key_one_is_carried_out(
    one_worker: ApiServer, two_workers: ApiServer, stack: str
) -> None:
    with Caller(one_worker.url) as api:
        since = api.put(f"{stack}/facts/before", 1).headers["Factstore-Cursor"]

    def put(n: int) -> tuple[int, str]:
        with Caller((one_worker if n % 2 else two_workers).url) as api:
            answer = api.put(f"{stack}/facts/a", 1, headers={"Idempotency-Key": "k"})
            return answer.status_code, answer.text

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(put, range(16)))
    assert len(answers) == 1
    assert answers.pop()[0] == HTTPStatus.CREATED
    with Caller(two_workers.url) as api:
        assert len(api.get(f"{stack}/events?since={since}").json()["events"]) == 1
