"""Short words for what trees of resources are made of."""

from __future__ import annotations

from typing import Any

from factstore.heat.autoscaling.plan import Instance, Resource, Stack, instances

COMPLETE = ("CREATE", "COMPLETE")


def resource(
    name: str,
    kind: str = "OS::Heat::RandomString",
    state: tuple[str, str] = COMPLETE,
    **others: Any,
) -> Resource:
    return Resource(
        **{
            "name": name,
            "id": f"id-{name}",
            "types": (kind,),
            "state": state,
            "known_as": f"host-{name}",
            **others,
        }
    )


def grouped(*units: Resource, kind: str = "OS::Heat::AutoScalingGroup", **others: Any) -> Resource:
    return resource(
        "compute", kind, nested=Stack("slurm-compute", units, unit_of="compute"), **others
    )


def only(one: Resource) -> Instance:
    (instance,) = instances(Stack("slurm-compute", (one,), unit_of="compute"))
    return instance
