"""A directory with an agent's files, to which contexts are applied."""

from __future__ import annotations

from pathlib import Path

from factstore.agent.apply.composition import build_reconciler
from factstore.agent.apply.reconciler import Reconciler
from factstore.agent.apply.sensitive_facts import SensitiveFacts
from factstore.agent.config.reads import Reads
from factstore.client.clock import Clock
from tests.unit.agent.factories import REAL, program, settings, state, write
from tests.unit.client.stub import FakeClock, Service

CONF = "[template conf]\nsource = conf.j2\ndestination = DIR/conf\n"


class RecordedReadSet:
    """A read set that records the calls of the reconciler."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Reads | None]] = []

    def replace(self, reads: Reads) -> None:
        self.calls.append(("replace", reads))

    def widen(self, reads: Reads) -> None:
        self.calls.append(("widen", reads))

    def upload(self) -> bool:
        self.calls.append(("upload", None))
        return True


class Node:
    """A directory with a template and a hook that writes down its variables."""

    def __init__(self, directory: Path, service: Service, more: str = "") -> None:
        self.directory = directory
        self.service = service
        self.more = more
        self.boot = "boot-1"
        self.clock: Clock = REAL
        self.stopping = False
        self.read_set = RecordedReadSet()
        write(directory / "templates" / "conf.j2", "{{ facts.ip }}\n")
        self.hook("10-first", "echo $FACTSTORE_CURSOR $FACTSTORE_CHANGED >> DIR/runs")

    def hook(self, name: str, script: str) -> None:
        program(self.directory / "hooks.d" / name, script.replace("DIR", str(self.directory)))

    @property
    def reconciler(self) -> Reconciler:
        """The reconciler of an agent that was just started."""
        made = settings(self.directory, CONF + self.more)
        kept = state(self.directory)
        sealed = SensitiveFacts(self.service.stack(FakeClock(), retry_for=0.0))
        return build_reconciler(
            made, sealed, kept, self.clock, self.read_set, lambda: self.boot, lambda: self.stopping
        )

    @property
    def runs(self) -> list[str]:
        file = self.directory / "runs"
        return file.read_text().splitlines() if file.exists() else []
