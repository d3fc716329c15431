"""Counts that are tallied first are the library's in the end."""

from __future__ import annotations

from factstore.wsgi.middleware.metrics import Metrics

DURATIONS = (0.0, 0.001, 0.0011, 0.3, 7.0)
ROUTE = "/v1/stacks/{stack}/facts/{path}"


def numbers(metrics: Metrics, prefix: str) -> list[str]:
    lines = metrics.exposition().decode().splitlines()
    return [line for line in lines if line.startswith(prefix) and "_created" not in line]


def test_tallied_requests_are_counted_as_others_are() -> None:
    fast, plain = Metrics(), Metrics()
    for seconds in DURATIONS:
        environ = {"factstore.route": ROUTE, "REQUEST_METHOD": "GET"}
        plain.observe_request(environ, "200 OK", "10", seconds)
        fast.observe("GET", ROUTE, 200, 10, seconds)
    for name in ("factstore_requests_total", "factstore_request_seconds", "factstore_response"):
        assert numbers(fast, name) == numbers(plain, name) != []
    assert numbers(fast, "factstore_fast_path") == ["factstore_fast_path_requests_total 5.0"]
    fast.observe("GET", ROUTE, 200, 10, None)
    assert f'factstore_requests_total{{method="GET",route="{ROUTE}",status="200"}} 6.0' in numbers(
        fast, "factstore_requests_total"
    )
    assert numbers(fast, "factstore_request_seconds") == numbers(plain, "factstore_request_seconds")


def test_calls_to_etcd_are_counted_by_their_name() -> None:
    metrics = Metrics()
    for seconds in DURATIONS:
        metrics.observe_etcd_call("range", seconds)
    found = numbers(metrics, "factstore_etcd_seconds")
    assert 'factstore_etcd_seconds_bucket{call="range",le="0.0005"} 1.0' in found
    assert 'factstore_etcd_seconds_bucket{call="range",le="+Inf"} 5.0' in found
    assert 'factstore_etcd_seconds_count{call="range"} 5.0' in found
