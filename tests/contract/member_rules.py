"""Rules that let members join, be declared, change, depart and send heartbeats."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from factstore.core.model.cursor import Cursor
from factstore.core.model.member import Declaration, JoinRequest
from factstore.core.model.record import RecordKey
from tests.contract.machine import TwoWorkers
from tests.contract.model import ModelMember
from tests.contract.rule_inputs import (
    cursors,
    generations,
    groups,
    names,
    which,
    words,
)
from tests.contract.world import author, soon


class MemberRules(TwoWorkers):
    """The operations on members, as rules."""

    @rule(w=which, name=names, group=groups, g=generations)
    def join(self, w: int, name: str, group: str, g: str) -> None:
        model, known = self.model, self.model.members.get(name)
        generation, whose = self.generation(name, g)
        code = "generation_stale" if generation is not None and whose != name else None
        if generation is not None and code is None and known is not None and known.declared_only:
            code = "member_ttl_fixed"
        joined = self.refused(
            code,
            lambda: self.use(w).members.join(
                self.scope, name, JoinRequest.of(group, 30, {}, generation), author()
            ),
        )
        if joined is None:
            return
        if generation is not None and known is not None:
            if known.group != group:
                member = replace(known, group=group)
                self.moment(lambda: model.join(name, member), revision=joined.cursor.revision)
            return
        declared = known.declared if known else None
        member = ModelMember(group, "joining", joined.member.lease, declared)
        outcome = ("adopted" if known.declared_only else "replaced") if known else "created"
        assert joined.outcome == outcome
        self.moment(lambda: model.join(name, member), revision=joined.cursor.revision)
        if known is not None:
            self.former.append(known.generation)
            self.expire_lease(known.lease)

    @rule(w=which, name=names, group=groups, word=words)
    def declare(self, w: int, name: str, group: str, word: str) -> None:
        model, known = self.model, self.model.members.get(name)
        other = known is not None and known.declared not in (None, word)
        request = JoinRequest.of(group, declared=word)
        code = "member_declared" if other else None
        declared = self.refused(
            code if model.lives else "not_found",
            lambda: self.use(w).members.join(self.scope, name, request, author()),
        )
        if declared is None:
            return
        number, outcome = declared.member.number, declared.outcome
        record = self.use(w).store.refresh(soon()).record(self.scope, RecordKey(Declaration, name))
        assert isinstance(record, Declaration)  # its number may be a random one
        model.declarations[name] = ModelMember(group, "joining", 0, word, record.number)
        if known is None:
            member = ModelMember(group, "joining", 0, word, number)
            assert outcome == "created"
            self.moment(lambda: model.join(name, member), revision=declared.cursor.revision)
        elif known.declared is None:
            assert outcome == "updated"
            self.moment(lambda: model.note(name, word), revision=declared.cursor.revision)
        elif known.declared_only and known.group != group:
            member = replace(known, group=group)
            assert outcome == "updated"
            self.moment(lambda: model.join(name, member), revision=declared.cursor.revision)
        else:
            assert outcome == "unchanged"

    @rule(w=which, name=names, state=st.sampled_from(["ready", "draining"]), g=generations)
    def set_state(self, w: int, name: str, state: Any, g: str) -> None:
        generation, whose = self.generation(name, g)
        changed = self.refused(
            self.unless_living(name, generation, whose),
            lambda: self.use(w).members.set_state(self.scope, name, state, generation, author()),
        )
        known = self.model.members.get(name)
        if changed is not None and known is not None and known.state != state:
            member = replace(known, state=state)
            self.moment(lambda: self.model.join(name, member), revision=changed.member.revision)

    @rule(w=which, name=names, g=generations, word=st.none() | words, own=st.booleans())
    def depart(self, w: int, name: str, g: str, word: str | None, own: bool) -> None:
        generation, whose = self.generation(name, g)
        code = self.unless_living(name, generation, whose)
        if code is None and word not in (None, self.model.members[name].declared):
            code = "member_declared"
        departed = self.refused(
            code,
            lambda: self.use(w).members.depart(
                self.scope, name, "left", generation, author(), word, keeps_declaration=own
            ),
        )
        if departed is not None:
            revision = departed.revision
            known = self.model.members[name]
            self.former.append(known.generation)
            awaited = self.model.declarations.get(name)
            if own and awaited is not None and not known.declared_only:
                state = "draining" if known.state == "draining" else "joining"
                awaited = replace(awaited, state=state)
                self.moment(lambda: self.model.join(name, awaited), revision=revision)
            else:
                self.moment(lambda: self.model.leave(name, "member.depart"), revision=revision)
            self.expire_lease(known.lease)

    @rule(w=which, name=names, g=generations, seen=cursors)
    def heartbeat(self, w: int, name: str, g: str, seen: str) -> None:
        model, worker = self.model, self.use(w)
        generation, whose = self.generation(name, g)
        head = worker.store.refresh(soon()).revision
        revision = {"target": model.target, "head": head, "old": model.target - 1, "far": 10**12}
        code = self.unless_living(name, generation, whose)
        cursor = Cursor(worker.store.state().epoch, revision[seen]) if seen else None
        if code is None and seen == "far":
            code = "cursor_expired"
        self.refused(
            code, lambda: (worker.members.heartbeat(self.scope, name, generation, cursor),)
        )
        if code is not None or cursor is None:
            return
        if model.lags(name) and model.applied.get(name, 0) < cursor.revision:
            self.moment(lambda: model.applied.__setitem__(name, cursor.revision))
