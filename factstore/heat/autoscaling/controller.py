"""Makes the members of a fact space what the instances of a Heat stack are.

An event only says where to look: what is there decides, and after something was done it is looked at
again.  So events may come late, twice, in any order, in several engines at a time, or not at all: who
looks last has it right.  What nobody looked at in time is found by the next look at the whole tree.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from keystoneauth1 import exceptions as keystone
from oslo_log import log

from factstore.client import Client, MemberRecord, Stack, errors
from factstore.heat.autoscaling.inventory import DATA_BAG, Row, Stacks
from factstore.heat.autoscaling.plan import (
    SERVERS,
    WORD,
    Instance,
    Known,
    Step,
    instances,
    steps,
    word,
)
from factstore.heat.autoscaling.work_queue import Look, Lookout
from factstore.heat.errors import sentence

LOG = log.getLogger(__name__)

_ROUNDS = 4
_REMEMBERED = 1000

_spaces: OrderedDict[str, str] = OrderedDict()
"""The fact spaces of trees by their roots' ids: for what is left to depart once the bag itself is gone,
as when a bag is retained.  Whoever departs must be declared as what departs, so an old entry does no
harm."""


@dataclass(frozen=True)
class View:
    """What was looked at.

    :param space: the fact space's name.
    :param joinable: whether members may still join.
    :param found: the instances.
    :param gone: words of which there is no instance any more, and why they depart.
    :param root: the id of the tree's root if all of it was looked at, else None.
    """

    space: str
    joinable: bool
    found: Sequence[Instance]
    gone: dict[str, str]
    root: str | None
    stacks: Stacks


def look(looks: Sequence[Look]) -> None:
    """Look at a stack, and have members join and depart accordingly.

    :param looks: what is due at one stack.
    """
    name = looks[0].stack
    try:
        for _ in range(_ROUNDS):
            view = _view(looks)
            if view is None or not _settle(looks[-1].context, view):
                return
        LOG.info(
            "factstore: Heat stack %s changes faster than its members; it is left for now.", name
        )
    except (errors.FactstoreError, keystone.ClientException) as error:
        LOG.warning(
            "factstore: the members of Heat stack %s were not told; the next operation of the stack "
            "tells what is missing: %s",
            name,
            sentence(error),
        )
    except Exception as error:  # noqa: BLE001 - whatever Heat's objects raise is no reason to be lost
        LOG.warning("factstore: Heat stack %s could not be looked at: %r", name, error)


lookout = Lookout(look)
"""Where looks are asked for."""


def _view(looks: Sequence[Look]) -> View | None:
    """What there is to see; None if that is nobody's business here."""
    stacks = Stacks()
    lineage = stacks.lineage(looks[0].stack)
    if not lineage:
        return None
    stack, root = lineage[0], lineage[-1]
    try:
        unit_of = stacks.unit_of(lineage)
    except LookupError:  # a part of a unit
        return None
    whole = any(look.resource is None for look in looks)
    names: dict[str, str] = {}  # by words: what replaces a resource has its name
    for each in looks:
        if each.resource is None:
            continue
        types = stacks.types(stack, each.resource, each.type)
        whole = whole or DATA_BAG in types
        if unit_of is not None or not SERVERS.isdisjoint(types):
            names[word(each.identifier)] = each.resource
    if not whole and not names:
        return None
    space = _space(stacks, root)
    if space is None:
        return None
    groups = stacks.option(root, "groups")
    tree = stacks.tree(root) if whole else stacks.part(stack, unit_of, set(names.values()))
    found = list(instances(tree, groups))
    words = {instance.word for instance in found}
    gone = {
        lost: "replaced" if stacks.has(stack, name) else "scaled_in"
        for lost, name in names.items()
        if lost not in words
    }
    return View(*space, found, gone, root.id if whole else None, stacks)


def _space(stacks: Stacks, root: Row) -> tuple[str, bool] | None:
    """A tree's fact space, and whether members may join; None if it has none, or not yet."""
    going = root.action == "DELETE" or root.deleted_at is not None
    found = stacks.bag(root)
    option = stacks.option(root, "stack")
    if found is None and option is not None:
        found = str(option), True
    name, stays = found or (None, False)
    if name is None:
        known = _spaces.get(root.id) if going else None
        return None if known is None else (known, False)
    _spaces[root.id] = name
    _spaces.move_to_end(root.id)
    while len(_spaces) > _REMEMBERED:
        _spaces.popitem(last=False)
    return name, stays and not going


def _settle(context: Any, view: View) -> bool:
    """Do what is to be done; whether that was anything."""
    facts: Client = context.clients.client("factstore")
    space = facts.stack(view.space)
    try:
        members = [_known(record) for record in space.members()]
        plan, clashes = steps(view.found, members, gone=view.gone, alive=_alive(view, members))
        if not view.joinable:
            plan, clashes = [step for step in plan if step.verb != "declare"], []
        _complain(view, clashes)
        done = [_do(space, step, view.space) for step in plan]
    except errors.NotFound:
        # It is gone, or was never there: to make it is not for who only tells of members.
        if view.joinable:
            LOG.info("factstore: there is no stack %s for members to join.", view.space)
        return False
    return any(done)


def _known(record: MemberRecord) -> Known:
    return Known(
        name=record.name,
        group=record.group,
        state=record.state,
        declared=record.declared,
        adopted=record.ttl is not None,
        attributes=record.attributes,
    )


def _alive(view: View, members: Iterable[Known]) -> set[str] | None:
    """The words of members that other trees have in the same fact space; None after a partial look."""
    if view.root is None:
        return None
    seen = {instance.word for instance in view.found}
    told = {known.declared for known in members if known.declared is not None}
    others = {each for each in told - seen if each.startswith(WORD)}
    return view.stacks.elsewhere(others, view.root)


def _complain(view: View, clashes: Iterable[Instance]) -> None:
    for instance in clashes:
        LOG.warning(
            "factstore: %s does not join stack %s: another member is named %s.",
            instance.word,
            view.space,
            instance.name,
        )
    for instance in view.found:
        if instance.name is None and instance.standing == "in":
            LOG.warning(
                "factstore: %s does not join stack %s: nothing of its name %r can be a member's.",
                instance.word,
                view.space,
                instance.known_as,
            )


def _do(space: Stack, step: Step, name: str) -> bool:
    """Take one step; whether it changed anything.

    :raises errors.NotFound: there is no fact space any more.
    """
    member = space.member(step.name)
    try:
        if step.instance is not None:
            record = member.declare(
                step.instance.group,
                step.word,
                reason=step.reason,
                attributes=step.instance.attributes,
            )
            if record.unchanged:
                return False
        else:
            try:
                if step.verb == "drain":
                    member.drain()
                else:
                    member.depart(reason=step.reason, declared=step.word)
            except errors.NotFound:
                return False  # somebody else was faster
    except errors.Conflict as error:
        # Another engine, or an agent, was faster: the next look sees what is so now.
        LOG.info("factstore: member %s of stack %s: %s", step.name, name, error)
        return True
    except (errors.BadRequest, errors.Forbidden) as error:
        LOG.warning("factstore: member %s of stack %s: %s", step.name, name, error)
        return False
    LOG.info("factstore: stack %s: %s %s, %s", name, step.verb, step.name, step.reason)
    return True
