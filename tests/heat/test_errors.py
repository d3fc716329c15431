"""The errors that users and operators read when factstore cannot be used."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from heatclient import exc

from factstore.client import Client
from tests.heat.lab.catalogue import Catalogue
from tests.heat.lab.orchestration import Orchestration, StackFailed
from tests.heat.lab.server import HeatServer
from tests.service import ApiServer

BAG = {
    "heat_template_version": "2021-04-16",
    "resources": {
        "bag": {"type": "OS::FactStore::DataBag", "properties": {"parameters": {"a": 1}}}
    },
    "outputs": {"a": {"value": {"get_attr": ["bag", "facts", "a"]}}},
}


@pytest.fixture
def failing(service: ApiServer) -> Iterator[ApiServer]:
    """The service, which a test may kill or pause; it runs again afterwards."""
    yield service
    if not service.healthy():
        service.restart()


def test_an_outage_fails_a_creation_with_a_reason(
    owner: Orchestration, failing: ApiServer, facts: Client, name: str
) -> None:
    failing.kill()
    with pytest.raises(
        StackFailed, match=r"resources\.bag: factstore cannot be reached, and nothing"
    ):
        owner.create(name, BAG)
    failing.start()
    owner.update(name, BAG)
    assert facts.stack(name).get("a").value == 1


def test_a_service_that_does_not_answer_delays_heat_for_seconds_only(
    owner: Orchestration, failing: ApiServer, name: str
) -> None:
    failing.pause()
    with pytest.raises(StackFailed, match="factstore cannot be reached"):
        owner.create(name, BAG, within=45)
    failing.resume()


def test_the_reason_why_an_attribute_cannot_be_read_is_raised_and_logged(
    owner: Orchestration, failing: ApiServer, heat: HeatServer, name: str
) -> None:
    stack = owner.create(name, BAG)
    failing.kill()
    with pytest.raises(StackFailed, match="factstore cannot be reached"):
        owner.output(stack, "a")
    assert "attribute facts of DataBag" in heat.log
    # When Heat shows a resource, it replaces the error with null.
    begins = len(heat.log)
    assert owner.resource(stack, "bag").attributes["members"] is None
    assert "attribute members of DataBag" in heat.log[begins:]
    failing.start()
    assert owner.output(stack, "a") == 1


def test_a_deletion_that_fails_can_be_repeated(
    owner: Orchestration, failing: ApiServer, facts: Client, name: str
) -> None:
    stack = owner.create(name, BAG)
    failing.kill()
    with pytest.raises(StackFailed, match=r"DELETE_FAILED.* factstore cannot be reached"):
        owner.delete(stack)
    failing.start()
    owner.delete(stack)
    assert name not in [record.name for record in facts.stacks()]


def test_a_cloud_without_factstore_refuses_the_type(
    owner: Orchestration, catalogue: Catalogue, name: str
) -> None:
    catalogue.enable(False)
    with pytest.raises(exc.HTTPException, match="factstore contextualization endpoint is not in"):
        owner.create(name, BAG)
