"""The controller: makes the members of a fact space match the instances of a Heat stack.

A request only states where to look.  The controller reads what exists, plans the difference, carries
it out, and reads again until nothing differs.  Several engines may do so at the same time: the one
that reads last corrects the others.  A change that no request reported is found by the next request
for the whole tree.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from keystoneauth1 import exceptions as keystone
from oslo_log import log

from factstore.client import Client, MemberRecord, Stack, errors
from factstore.heat.autoscaling.instances import (
    DECLARED_PREFIX,
    SERVERS,
    Instance,
    declared_id,
    instances,
)
from factstore.heat.autoscaling.inventory import DATA_BAG, HeatInventory, PartOfUnit, Row
from factstore.heat.autoscaling.plan import ExistingMember, MemberChange, plan_changes
from factstore.heat.autoscaling.work_queue import ReconcileRequest, WorkQueue
from factstore.heat.errors import message

LOG = log.getLogger(__name__)

_ATTEMPTS = 4
_REMEMBERED = 1000

# The fact spaces of trees, by the ids of their root stacks. When a data bag is retained, its
# resource is gone before the last members have departed. An outdated entry does no harm: a member
# departs only if it is declared as the instance that was deleted.
_spaces: OrderedDict[str, str] = OrderedDict()


@dataclass(frozen=True)
class Observation:
    """The state in Heat's database that some requests are about.

    :param space: the fact space's name.
    :param accepts_members: whether members may still join.
    :param instances: the instances that exist.
    :param departed: declared ids of instances that no longer exist, with the reason.
    :param root_id: the id of the root stack if the whole tree was read, else None.
    """

    space: str
    accepts_members: bool
    instances: Sequence[Instance]
    departed: dict[str, str]
    root_id: str | None
    inventory: HeatInventory


def reconcile(requests: Sequence[ReconcileRequest]) -> None:
    """Have members join and depart until they match the instances.

    :param requests: all pending requests for one stack.
    """
    stack_id = requests[0].stack_id
    try:
        for _ in range(_ATTEMPTS):
            observation = _observe(requests)
            if observation is None or not _apply(requests[-1].context, observation):
                return
        LOG.info(
            "factstore: Heat stack %s still changes after %d attempts. The next operation of the "
            "stack continues.",
            stack_id,
            _ATTEMPTS,
        )
    except (errors.FactstoreError, keystone.ClientException) as error:
        LOG.warning(
            "factstore: the members of Heat stack %s were not updated. The next operation of the "
            "stack repairs that: %s",
            stack_id,
            message(error),
        )
    except Exception as error:  # noqa: BLE001 - Heat's objects may raise anything; the thread must live
        LOG.warning("factstore: Heat stack %s could not be read: %r", stack_id, error)


queue = WorkQueue(reconcile)
"""The queue of this engine."""


def _observe(requests: Sequence[ReconcileRequest]) -> Observation | None:
    """Return what exists now, or None if the requests concern no member."""
    inventory = HeatInventory()
    ancestry = inventory.ancestry(requests[0].stack_id)
    if not ancestry:
        return None
    stack, root = ancestry[0], ancestry[-1]
    try:
        group = inventory.group_of(ancestry)
    except PartOfUnit:
        return None
    whole = any(request.resource_name is None for request in requests)
    names: dict[str, str] = {}  # by declared id: a replacement has the same name
    for request in requests:
        if request.resource_name is None:
            continue
        types = inventory.resource_types(stack, request.resource_name, request.resource_type)
        whole = whole or DATA_BAG in types
        if group is not None or not SERVERS.isdisjoint(types):
            names[declared_id(request.physical_id)] = request.resource_name
    if not whole and not names:
        return None
    space = _fact_space(inventory, root)
    if space is None:
        return None
    part = None if whole else inventory.partial_tree(stack, group, set(names.values()))
    tree = part or inventory.tree(root)
    found = list(instances(tree, inventory.sink_option(root, "groups")))
    present = {instance.declared_id for instance in found}
    departed = {
        declared: "replaced" if inventory.has_resource(stack, name) else "scaled_in"
        for declared, name in names.items()
        if declared not in present
    }
    return Observation(*space, found, departed, root.id if whole else None, inventory)


def _fact_space(inventory: HeatInventory, root: Row) -> tuple[str, bool] | None:
    """Return a tree's fact space and whether members may join it, or None if it has none yet."""
    deleting = root.action == "DELETE" or root.deleted_at is not None
    found = inventory.data_bag(root)
    option = inventory.sink_option(root, "stack")
    if found is None and option is not None:
        found = str(option), True
    name, remains = found or (None, False)
    if name is None:
        known = _spaces.get(root.id) if deleting else None
        return None if known is None else (known, False)
    _spaces[root.id] = name
    _spaces.move_to_end(root.id)
    while len(_spaces) > _REMEMBERED:
        _spaces.popitem(last=False)
    return name, remains and not deleting


def _apply(context: Any, observation: Observation) -> bool:
    """Carry out the difference; return True if anything was changed."""
    client: Client = context.clients.client("factstore")
    space = client.stack(observation.space)
    try:
        members = [_existing(record) for record in space.members()]
        changes, conflicts = plan_changes(
            observation.instances,
            members,
            departed=observation.departed,
            declared_elsewhere=_declared_elsewhere(observation, members),
        )
        if not observation.accepts_members:
            changes, conflicts = [change for change in changes if change.verb != "declare"], []
        _log_conflicts(observation, conflicts)
        changed = [_execute(space, observation.space, change) for change in changes]
    except errors.NotFound:
        # The fact space was deleted or never created. The controller does not create one.
        if observation.accepts_members:
            LOG.info("factstore: there is no stack %s for members to join.", observation.space)
        return False
    return any(changed)


def _existing(record: MemberRecord) -> ExistingMember:
    return ExistingMember(
        name=record.name,
        group=record.group,
        state=record.state,
        declared_id=record.declared,
        adopted=record.ttl is not None,
        attributes=record.attributes,
    )


def _declared_elsewhere(
    observation: Observation, members: Iterable[ExistingMember]
) -> set[str] | None:
    """Return the declared ids that belong to other trees, or None if only a part was read."""
    if observation.root_id is None:
        return None
    present = {instance.declared_id for instance in observation.instances}
    declared = {member.declared_id for member in members if member.declared_id is not None}
    unknown = {each for each in declared - present if each.startswith(DECLARED_PREFIX)}
    return observation.inventory.in_other_trees(unknown, observation.root_id)


def _log_conflicts(observation: Observation, conflicts: Iterable[Instance]) -> None:
    for instance in conflicts:
        LOG.warning(
            "factstore: %s does not join stack %s: another member is named %s.",
            instance.declared_id,
            observation.space,
            instance.name,
        )
    for instance in observation.instances:
        if instance.name is None and instance.phase == "active":
            LOG.warning(
                "factstore: %s does not join stack %s: its name %r has no character that a member's "
                "name may have.",
                instance.declared_id,
                observation.space,
                instance.own_name,
            )


def _execute(space: Stack, space_name: str, change: MemberChange) -> bool:
    """Carry out one change; return True if the member may differ now.

    :raises errors.NotFound: the fact space does not exist.
    """
    member = space.member(change.name)
    try:
        if change.instance is not None:
            record = member.declare(
                change.instance.group,
                change.declared_id,
                reason=change.reason,
                attributes=change.instance.attributes,
            )
            if record.unchanged:
                return False
        else:
            try:
                if change.verb == "drain":
                    member.drain()
                else:
                    member.depart(reason=change.reason, declared=change.declared_id)
            except errors.NotFound:
                return False  # another engine or the agent was faster
    except errors.Conflict as error:
        # Another engine or an agent changed the member. The next attempt reads the new state.
        LOG.info("factstore: member %s of stack %s: %s", change.name, space_name, error)
        return True
    except (errors.BadRequest, errors.Forbidden) as error:
        LOG.warning("factstore: member %s of stack %s: %s", change.name, space_name, error)
        return False
    LOG.info("factstore: stack %s: %s %s, %s", space_name, change.verb, change.name, change.reason)
    return True
