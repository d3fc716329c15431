"""Rules that put and delete facts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from factstore.core.model.fact import Delete, Put
from tests.contract.machine import TwoWorkers
from tests.contract.model import Line, ModelFact
from tests.contract.rule_inputs import (
    generations,
    names,
    paths,
    values,
    which,
)
from tests.contract.world import author


class FactRules(TwoWorkers):
    """The operations on facts, as rules."""

    @rule(
        w=which, path=paths, value=values, ttl=st.booleans(), name=st.none() | names, g=generations
    )
    def put(self, w: int, path: str, value: int, ttl: bool, name: str | None, g: str) -> None:
        request, code = self.request(path, value, ttl, name, g)
        changes = code is None and self.differs(request)
        self.refused(code, lambda: self.write(w, [request], [request] if changes else []))

    @rule(w=which, path=paths)
    def delete(self, w: int, path: str) -> None:
        known = path in self.model.facts
        gone = [Delete(path)]
        if known:
            self.write(w, gone, gone)
        else:
            self.refused("not_found", lambda: self.use(w).delete(self.scope, path))

    @rule(
        w=which,
        requests=st.dictionaries(
            paths, st.tuples(st.none() | values, st.none() | names), min_size=1
        ),
        g=generations,
    )
    def batch(self, w: int, requests: dict[str, tuple[int | None, str | None]], g: str) -> None:
        made: list[Put | Delete] = []
        changes: list[Put | Delete] = []
        codes: list[str | None] = []
        for path, (value, name) in requests.items():
            if value is None:
                made.append(Delete(path))
                if path in self.model.facts:
                    changes.append(made[-1])
            else:
                request, code = self.request(path, value, False, name, g)
                made.append(request)
                codes.append(code)
                if code is None and self.differs(request):
                    changes.append(request)
        code = next((code for code in codes if code), None)
        if not codes and not self.model.lives:
            code = "not_found"
        self.refused(code, lambda: self.write(w, made, changes))

    def write(self, w: int, requests: list[Any], changes: list[Any]) -> bool:
        written = self.use(w).facts.batch(self.scope, requests, [], author())
        by_path = {result.path: result for result in written.results}
        done: list[Callable[[], Line | None]] = []
        for request in changes:
            fact = by_path[request.path].fact
            if fact is None:
                done.append(lambda path=request.path: self.model.drop(path, "fact.delete"))
            else:
                new = ModelFact(request.text, request.ttl, request.member, fact.lease)
                done.append(lambda path=request.path, new=new: self.model.put(path, new))
        if done:
            self.moment(*done, revision=written.revision)
        return True
