"""A stack with configurations, and an instance that deploys them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from factstore.agent.deploy.deployer import Deployer
from factstore.client import ConfigurationList, ConfigurationRecord, errors
from tests.eventually import eventually
from tests.unit.agent.factories import REAL, program

SECRET = "hunter2-hunter2"


DONE = 'echo \'{"deploy_stdout": "out", "deploy_stderr": "", "deploy_status_code": 0, "url": "u"}\''


_HERE = uuid.uuid4().hex
"""An interrupted run kills all processes of the machine that are marked with its id."""


def configuration(name: str = "app", **more: Any) -> ConfigurationRecord:
    fields: dict[str, Any] = {
        "member": "c1",
        "name": name,
        "id": f"id of {name} in {_HERE}",
        "sequence": 1,
        "state": "due",
        "waits_for": [],
        "group": "script",
        "outputs": ["url"],
        "depends_on": [],
        "action": "CREATE",
        "on_interrupt": "fail",
        "timeout": 60,
        "result": None,
        "config": "the script",
        **more,
    }
    return ConfigurationRecord(**fields)


class Killed(BaseException):
    """Stands for SIGKILL: nothing handles it."""


class FakeStack:
    """A stack with configurations of one member, which keeps all reports."""

    name = "slurm"

    def __init__(self, *configurations: ConfigurationRecord) -> None:
        self.known = {each.name: each for each in configurations}
        self.reports: list[dict[str, Any]] = []
        self.facts: dict[str, Any] = {}
        self.refuses: Callable[[dict[str, Any]], Exception | None] = lambda report: None
        self.loses: Callable[[], Exception | None] = lambda: None  # the answer to a report
        self.asked: Callable[[], Exception | None] = lambda: None

    def configurations(self, member: str, **_: object) -> ConfigurationList:
        return ConfigurationList(tuple(self.known.values()), "tag")

    def configuration(self, member: str, name: str) -> Any:
        stack = self

        class Item:
            def show(self) -> ConfigurationRecord:
                if (error := stack.asked()) is not None:
                    raise error
                if name not in stack.known:
                    raise errors.NotFound("missing", status=404)
                return stack.known[name]

            def report(self, identifier: str, state: str, **result: Any) -> None:
                report = {"name": name, "state": state, **result}
                error = stack.refuses(report)
                if error is not None:
                    raise error
                assert identifier == stack.known[name].id
                stack.reports.append(report)
                stack.known[name] = replace(stack.known[name], state=state)
                if (error := stack.loses()) is not None:
                    raise error

        return Item()

    def get(self, path: str) -> Any:
        if path not in self.facts:
            raise errors.NotFound("missing", status=404)
        value = self.facts[path]
        return type("Fact", (), {"value": value, "etag": f"etag of {value}"})

    @property
    def ends(self) -> list[tuple[str, str]]:
        return [
            (each["name"], each["state"]) for each in self.reports if each["state"] != "in_progress"
        ]


class Instance:
    """A directory with hooks, on which one agent after the other runs."""

    def __init__(self, directory: Path, stack: FakeStack, script: str = DONE) -> None:
        self.directory, self.stack = directory, stack
        (directory / "state").mkdir(mode=0o700)
        self.hook(script)
        self.agent = self.restarted()

    def hook(self, script: str) -> None:
        script = script.replace("DIR", str(self.directory))
        program(
            self.directory / "hooks" / "script", f"echo run >> {self.directory}/runs\n{script}\n"
        )

    def restarted(self) -> Deployer:
        self.agent = Deployer(
            self.stack,  # type: ignore[arg-type]
            "c1",
            self.directory / "hooks",
            self.directory / "state",
            lambda: True,
            REAL,
        )
        return self.agent

    @property
    def runs(self) -> int:
        file = self.directory / "runs"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def until_ended(self, count: int = 1) -> dict[str, Any]:
        """Let the agent work until so many results were reported; return the last one."""

        def worked() -> bool:
            self.agent.step()
            return len(self.stack.ends) == count and self.agent._run.load() is None

        eventually(worked)
        return self.stack.reports[-1]
