"""The service responds to every request as its OpenAPI document says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from hypothesis import HealthCheck, given, settings

from tests.docs import reference
from tests.fuzz import running
from tests.http import Caller, fresh_stack
from tests.service import ApiServer
from tests.structure.application import DOCUMENT, documented

if TYPE_CHECKING:
    from schemathesis import Case

STREAM = "text/event-stream"
READ_SECONDS = 60
PHASES = {"examples", "fuzzing", "stateful"}
"""Each phase but the one that tries each value at each place, which is most of ``make fuzz``; for wrong
values, tests/functional has tables of them."""


@pytest.mark.timeout(1200)  # it asks without a pause, and a busy machine answers slowly
def test_every_answer_is_one_that_the_document_names(one_worker: ApiServer, tmp_path: Path) -> None:
    outcome = running.run(
        one_worker.url,
        tmp_path,
        *("--generation-deterministic", "--max-examples", "2"),
        *("--phases", ",".join(PHASES)),
    )
    assert outcome.status == 0, outcome.text
    assert outcome.report["failures"] == outcome.report["errors"] == []
    statuses = {name: phase["status"] for name, phase in outcome.report["phases"].items()}
    assert {name for name, status in statuses.items() if status == "success"} == PHASES, statuses
    # It requested every operation except the document, and not all requests were refused. So few
    # requests may find nothing where the service answers 404 if something does not exist.
    accepted = {operation for operation, times in outcome.accepted().items() if times}
    wanted = {
        name: operation
        for name, operation in reference.operations(documented()).items()
        if name != f"GET {DOCUMENT}"
    }
    assert outcome.accepted().keys() == wanted.keys()
    assert {name for name, each in wanted.items() if 404 not in each.responses()} <= accepted


def test_a_stream_starts_or_is_refused_as_documented(one_worker: ApiServer) -> None:
    # Here, because each process of a run imports this module.
    import schemathesis
    from schemathesis import GenerationMode

    schema = schemathesis.openapi.from_url(f"{one_worker.url}/v1/openapi.json")
    operation = schema["/v1/stacks/{stack}/events"]["GET"]
    name = fresh_stack()
    with Caller(one_worker.url) as api:
        api.put(f"/v1/stacks/{name}/facts/a", 1)
    begun: list[int] = []

    right = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    wrong = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @given(case=right | wrong)
    @settings(derandomize=True, max_examples=40, suppress_health_check=list(HealthCheck))
    def check(case: Case) -> None:
        if len(begun) % 4:
            case.path_parameters["stack"] = name
        if len(begun) % 8 == 1:
            # Of another store
            case.query = {"since": "123456789abcdef0.1", "on_gap": "error"}
            case.headers.clear()
        sent = case.as_transport_kwargs(base_url=one_worker.url)
        sent["headers"]["Accept"] = STREAM
        with requests.request(**sent, stream=True, timeout=READ_SECONDS) as answer:
            begun.append(answer.status_code)
            about = operation.definition.raw["responses"][str(answer.status_code)]
            kind = answer.headers["Content-Type"].partition(";")[0]
            assert kind in about["content"]
            if answer.ok:
                assert kind == STREAM
                assert next(answer.iter_lines()).startswith(b": ")

    check()
    assert set(begun) >= {200, 400, 404, 410}
