"""Failures that did not happen again when their test was repeated at once.

The tests that use servers depend on two cores that they share. ``--reruns`` of pytest-rerunfailures
repeats a test that failed, so that one moment without a processor does not refuse a change. Each first
failure is printed, because it may be a fault of the product that happens rarely, and more than one of a
thousand tests (but three of a small selection) fail the run.
"""

from __future__ import annotations

import socket

import pytest

LIMIT = 3
"""The number of repeated tests with which a run of a few tests still passes."""

SHARE = 1000
"""A run also passes if at most one of so many tests was repeated."""


class Reruns:
    """Collects the first failures, prints them at the end, and fails the run if there are many."""

    def __init__(self) -> None:
        self._failures: dict[str, str] = {}
        self._passed = 0

    @property
    def _limit(self) -> int:
        return max(LIMIT, self._passed // SHARE)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the failure of a test that is going to be repeated, and count those that passed."""
        if str(report.outcome) == "rerun":
            self._failures[report.nodeid] = report.longreprtext
        self._passed += report.when == "call" and report.passed

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the run if too many tests were repeated."""
        if len(self._failures) > self._limit and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the first failures."""
        if not self._failures:
            return
        terminalreporter.section("tests that were repeated")
        for test, failure in self._failures.items():
            terminalreporter.write_line(f"{test} failed first with:")
            terminalreporter.write_line(failure)

    def pytest_unconfigure(self) -> None:
        """Name the repeated tests in the last lines of the run, which are often all that is kept."""
        for test, failure in self._failures.items():
            reasons = [line for line in failure.splitlines() if line.startswith("E ")]
            print(f"repeated: {test}: {reasons[0][2:].strip() if reasons else ''}"[:300])
        if len(self._failures) > self._limit:
            print(
                f"{len(self._failures)} tests were repeated;"
                f" the run fails with more than {self._limit}."
            )


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Collect in the process that reports all tests, and let the others report without a delay.

    pytest-rerunfailures sends two messages after each test, of which the kernel would hold the second
    one back for 40 ms.
    """
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Reruns())
    elif connection := getattr(getattr(config, "failures_db", None), "sock", None):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
