"""Builders of resources and trees."""

from __future__ import annotations

from typing import Any

from factstore.heat.autoscaling.instances import Instance, Resource, Stack, instances

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
            "own_name": f"host-{name}",
            **others,
        }
    )


def group_of(*units: Resource, kind: str = "OS::Heat::AutoScalingGroup", **others: Any) -> Resource:
    return resource(
        "compute", kind, nested=Stack("slurm-compute", units, group="compute"), **others
    )


def instance_of(unit: Resource) -> Instance:
    (instance,) = instances(Stack("slurm-compute", (unit,), group="compute"))
    return instance
