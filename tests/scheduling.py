"""The order in which the processes of a test run take the files.

A file stays in one process, which keeps the servers that it has started. A Keystone and a Heat take
seconds to start, so a few processes take all files that need them. Long files begin first, and those of
tests/unit, which are short, come last, so that no process is left alone with a long one.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

_LEGACY = "legacy"
_PLAIN = "plain"
_HOMES = ("heat", _LEGACY, _PLAIN, "keystone", _PLAIN, "heat")
"""The kinds that the processes take first, in turn. The rest follows in the order of ``_OTHERS``."""

_OTHERS = (_PLAIN, "keystone", "heat", _LEGACY)

_WITH_KEYSTONE = (
    "tests/console/",
    "tests/keystone/",
    "tests/lab/test_keystone.py",
    "tests/tools/test_heat_config.py",
    "tests/tools/test_os_collect_config.py",
)
"""The beginnings of the files that need a Keystone, which takes a process five seconds to start."""

_LONGEST = (
    "tests/heat/test_waiter.py",
    "tests/heat/test_controller.py",
    "tests/heat/test_event_sink.py",
    "tests/heat/test_slurm.py",
    "tests/gate/test_gate.py",
    "tests/fuzz/test_fuzz.py",
    "tests/agent/test_faults.py",
    "tests/faults/test_rolling_restart.py",
    "tests/lab/test_standalone.py",
    "tests/faults/test_deliveries.py",
    "tests/tools/test_os_collect_config.py",
    "tests/faults/test_agents.py",
    "tests/faults/test_waiters.py",
    "tests/agent/test_agent.py",
    "tests/examples/test_watch.py",
    "tests/examples/test_slurm.py",
    "tests/osc/test_terminals.py",
    "tests/functional/test_purge.py",
    "tests/proxies/test_samples.py",
    "tests/devstack/test_plugin.py",
    "tests/keystone/test_token_policy.py",
    "tests/keystone/test_grant_policy.py",
    "tests/keystone/test_outages.py",
    "tests/gate/test_seeded_bugs.py",
)
"""The longest files."""


class ByServers(LoadScopeScheduling):
    """Gives each process whole files, and those first for which it has servers already."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the file, or "legacy" for the tests on Heat's legacy engine."""
        path = nodeid.partition("::")[0]
        return _LEGACY if kind(path) == "heat" and _LEGACY in nodeid else path

    def _assign_work_unit(self, node: WorkerController) -> None:
        home = _HOMES[int(node.gateway.id.removeprefix("gw")) % len(_HOMES)]
        kinds = [home, *_OTHERS]

        def place(scope: str) -> tuple[int, int]:
            longest = _LONGEST.index(scope) if scope in _LONGEST else len(_LONGEST)
            return kinds.index(kind(scope)), longest

        self.workqueue.move_to_end(min(self.workqueue, key=place), last=False)
        super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        # A process starts a test when it knows the next one. Not more, because that may be long.
        if node.shutting_down:
            return
        if not self.workqueue:
            node.shutdown()
        elif self._pending_of(self.assigned_work[node]) < 2:
            self._assign_work_unit(node)


def kind(scope: str) -> str:
    """Return the kind of servers that a file needs."""
    if scope.startswith(_WITH_KEYSTONE):
        return "keystone"
    if scope == _LEGACY:
        return _LEGACY
    return "heat" if scope.startswith("tests/heat/") else _PLAIN
