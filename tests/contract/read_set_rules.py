"""Rules that store and delete read sets, and check who is woken and listed because of them."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from factstore.core.model.event import DELETION_MARKER, DeletionMarker
from factstore.core.model.read_set import ReadSet
from tests.contract.machine import TwoWorkers
from tests.contract.model import ModelChange, ModelReadSet
from tests.contract.rule_inputs import generations, names, which
from tests.contract.world import author

PATTERNS = [
    "nodes/*/x",
    "nodes/a/x",
    "nodes/b",
    "nodes/",
    "nodes/*/",
    "cfg",
    "cfg/",
    "results/a",
    "cfg/below",
]

read_sets = st.builds(
    ModelReadSet,
    st.lists(st.sampled_from(PATTERNS), max_size=2, unique=True).map(lambda s: tuple(sorted(s))),
    st.sampled_from([(), (), ("a",), ("*",)]),
    st.sampled_from([(), (), ("compute",), ("head",)]),
)  # fmt: skip


class ReadSetRules(TwoWorkers):
    """The operations on read sets, as rules.

    :ivar since: the revision since which some member has a read set.
    :ivar known: the read sets when the readers were checked last.
    :ivar checked: for each worker, the revision up to which its readers were checked; None at first.
    :ivar lost: for each worker, the read sets that members have lost since then.
    :ivar marker: the revision of the last marker without paths.
    """

    def __init__(self) -> None:
        super().__init__()
        self.since: dict[ModelReadSet, int] = {}
        self.known: dict[str, ModelReadSet] = {}
        self.checked: list[int | None] = [None, None]
        self.lost: list[set[ModelReadSet]] = [set(), set()]
        self.marker = 0

    @rule(w=which, name=names, wanted=read_sets, g=generations)
    def store_read_set(self, w: int, name: str, wanted: ModelReadSet, g: str) -> None:
        model, known = self.model, self.model.read_sets.get(name)
        generation, whose = self.generation(name, g)
        read_set = _record(name, wanted)
        stored = self.refused(
            self.unless_living(name, generation, whose),
            lambda: self.use(w).read_sets.put(self.scope, read_set, generation, author()),
        )
        if stored is None:
            return
        assert (stored.created, stored.unchanged) == (known is None, known == wanted)
        if known != wanted:
            if wanted not in model.read_sets.values():
                self.since[wanted] = stored.cursor.revision
            self.moment(
                lambda: model.read_sets.update({name: wanted}), revision=stored.cursor.revision
            )

    @rule(w=which, name=names, g=generations)
    def delete_read_set(self, w: int, name: str, g: str) -> None:
        model = self.model
        generation, whose = self.generation(name, g)
        code = self.unless_living(name, generation, whose)
        if code is None and name not in model.read_sets:
            code = "not_found"
        revision = self.refused(
            code, lambda: self.use(w).read_sets.delete(self.scope, name, generation, author())
        )
        if revision is not None:
            self.moment(lambda: model.read_sets.__delitem__(name), revision=revision)

    @rule(w=which, path=st.sampled_from(["nodes/a/x", "nodes/b/x", "nodes", "cfg", "cfg/below/it"]))
    def readers_are_listed(self, w: int, path: str) -> None:
        if self.model.lives:
            page = self.use(w).members.list(self.scope, reads=path, limit=10)
            everything = ModelReadSet(("*",))
            assert [member.name for member in page.items] == [
                name
                for name in sorted(self.model.members)
                if self.model.read_sets.get(name, everything).reads(path)
            ]

    # Markers

    def note_marker(self) -> None:
        """Let a marker without paths, which a worker wrote without read sets, concern everybody."""
        self.listen()
        worker = self.workers[1 if self.behind == 0 else 0]
        found = worker.store.state().record(self.scope, DELETION_MARKER)
        if not isinstance(found, DeletionMarker) or found.deletions is not None:
            return
        if found.seen > self.marker:
            self.marker = found.seen
            self.model.changes.append(ModelChange("", revision=found.seen))
            self.checked = [None, None]  # all readers are woken

    # Waiting

    def forget_readers(self, w: int) -> None:
        """Begin again with a worker that was replaced."""
        self.checked[w] = None

    @invariant()
    def only_readers_are_woken(self) -> None:
        """Check that a worker wakes the readers of what has changed, and nobody else."""
        self.listen()
        held, model = {**self.model.read_sets}, self.model
        gone = {r for name, r in self.known.items() if held.get(name) != r}
        self.known = held
        for number, worker in enumerate(self.workers):
            self.lost[number] |= gone
            if number == self.behind:
                continue
            after, lost = self.checked[number], self.lost[number]
            self.checked[number], self.lost[number] = worker.hub.cursor, set()
            if after is None:
                continue
            for read_set in {*held.values(), *lost}:
                start = max(after.revision, self.since[read_set])
                concerned = any(
                    change.revision > start and read_set.reads(change.path, change.created)
                    for change in model.changes
                )
                woken = worker.hub.wait_concern(self.scope, _record("", read_set).digest, after, 0)
                assert woken == (concerned or read_set in lost), read_set


def _record(name: str, wanted: ModelReadSet) -> ReadSet:
    return ReadSet.of(name, wanted.facts, wanted.members, wanted.groups)
