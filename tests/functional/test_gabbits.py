"""The API by example: each file of gabbits has the requests and responses of one resource."""

from __future__ import annotations

import unittest
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
from gabbi import suitemaker, utils
from gabbi.handlers import RESPONSE_HANDLERS
from gabbi.handlers.base import ResponseHandler

from tests.http import check_refusal, fresh_stack
from tests.service import ApiServer

GABBITS = Path(__file__).with_name("gabbits")


@pytest.fixture
def server(two_workers: ApiServer) -> ApiServer:
    """A service whose two workers answer a client's requests in turn."""
    return two_workers


class ErrorHandler(ResponseHandler):  # type: ignore[misc]
    """``response_error: ["404 not_found"]``: a refusal in the house form."""

    test_key_suffix = "error"
    test_key_value: ClassVar[list[str]] = []

    def action(self, test: Any, item: str, value: Any = None) -> None:
        status = int(test.response["status"])
        check_refusal(status, test.response, test.response_data, item)


class WithoutHandler(ResponseHandler):  # type: ignore[misc]
    """``response_without: ["text"]``: the body holds no such text."""

    test_key_suffix = "without"
    test_key_value: ClassVar[list[str]] = []

    def action(self, test: Any, item: str, value: Any = None) -> None:
        assert item not in test.output, test.output


@pytest.mark.parametrize("name", sorted(file.stem for file in GABBITS.glob("*.yaml")))
def test_the_api_answers_as_written(
    name: str, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STACK", fresh_stack())
    monkeypatch.setenv("OTHER_STACK", fresh_stack())
    where = urlsplit(server.url)
    document = utils.load_yaml(yaml_file=str(GABBITS / f"{name}.yaml"))
    # Otherwise each request loads the certificates of all authorities, for ten times as long.
    document.setdefault("defaults", {})["cert_validate"] = False
    suite = suitemaker.test_suite_from_dict(
        unittest.TestLoader(),
        name,
        document,
        str(GABBITS),
        where.hostname,
        where.port,
        fixture_module=None,
        intercept=None,
        handlers=[handler() for handler in [*RESPONSE_HANDLERS, ErrorHandler, WithoutHandler]],
        test_loader_name="factstore",
    )
    steps = list(suite)
    result = unittest.TestResult()
    suite.run(result)
    for step in steps:
        step.http.client.close()
    faults = [f"{test}\n{text}" for test, text in [*result.failures, *result.errors]]
    assert not faults, "\n\n".join(faults)
    assert result.testsRun == len(steps) > 0
    assert not result.skipped
