"""A real Heat accepts each whole template that factstore-migrate has written."""

from __future__ import annotations

from pathlib import Path

from factstore.client import Client
from factstore.migrate import rewrite
from tests.heat.examples import EXAMPLES, SERVERS
from tests.heat.lab.orchestration import Orchestration

TEMPLATES = Path(__file__).parents[1] / "unit" / "migrate" / "templates"
WHOLE = [TEMPLATES / name for name in ("server.yaml", "several.yaml", "tabs.json")]


def test_heat_validates_every_rewritten_template_and_writes_its_facts(
    owner: Orchestration, facts: Client, name: str
) -> None:
    environment = {"resource_registry": SERVERS}
    for path in WHOLE:
        new = rewrite(path.read_text()).text
        # A preview checks properties, references and circles, which a validation does not.
        owner.heat.stacks.preview(stack_name=name, template=new, environment=environment)
    owner.create(
        name,
        (EXAMPLES / "migrate" / "after.yaml").read_text(),
        environment={**environment, "parameters": {"Image": "debian-12", "Flavor": "m1.small"}},
    )
    context = facts.stack(name).context().facts
    assert context["realm"] == "test"
    assert context["broker"]["port"] == 5672
    assert context["broker"]["url"].startswith("amqp://")
