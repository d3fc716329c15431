"""The lab: a real Heat works in it."""

from __future__ import annotations

import pytest

from tests.heat.lab.orchestration import Orchestration, StackFailed
from tests.heat.lab.patience import eventually


def random_string(length: int) -> dict[str, object]:
    """A template with one resource and an output."""
    return {
        "heat_template_version": "2021-04-16",
        "resources": {"word": {"type": "OS::Heat::RandomString", "properties": {"length": length}}},
        "outputs": {"word": {"value": {"get_attr": ["word", "value"]}}},
    }


def test_a_stack_is_created_updated_and_deleted(owner: Orchestration, name: str) -> None:
    stack = owner.create(name, random_string(5))
    assert len(owner.output(stack, "word")) == 5
    owner.update(stack, random_string(7))
    assert len(owner.output(stack, "word")) == 7
    owner.delete(stack)
    # The convergence engine deletes the row just after it reports the deletion.
    eventually(lambda: stack not in [each.id for each in owner.heat.stacks.list()])


def test_a_stack_that_fails_has_a_reason(owner: Orchestration, name: str) -> None:
    template = {
        "heat_template_version": "2021-04-16",
        "resources": {
            "bad": {
                "type": "OS::Heat::TestResource",
                "properties": {"fail": True, "action_wait_secs": {"create": 0}},
            }
        },
    }
    with pytest.raises(StackFailed, match="CREATE_FAILED"):
        owner.create(name, template)
