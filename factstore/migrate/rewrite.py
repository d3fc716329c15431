"""Rewrites a template's text by its plan, and verifies the result before it is returned."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from functools import partial

from factstore.migrate.block_style import BlockStyle
from factstore.migrate.edits import Edit, Lines, NotRewritable, apply
from factstore.migrate.flow_style import FlowStyle
from factstore.migrate.functions import Functions
from factstore.migrate.nodes import Mapping, Node, Scalar, Sequence, target
from factstore.migrate.orders import order_edits
from factstore.migrate.plan import Bag, Finding, Plan
from factstore.migrate.planner import make_plan
from factstore.migrate.read_paths import ReadPath
from factstore.migrate.remaining import remaining_readers
from factstore.migrate.template import NotATemplate, Template
from factstore.migrate.texts import ReadFile
from factstore.migrate.verify import Mismatch, verify

_BAG = "OS::FactStore::DataBag"
_FACTS = "OS::FactStore::Facts"
_GRANT = "OS::FactStore::Grant"
_BYTE_ORDER_MARK = "\ufeff"
_CONDITION = ("Condition", "condition")


@dataclass(frozen=True)
class Result:
    """A rewritten template.

    :ivar text: the new text; the old one if there is nothing to rewrite.
    :ivar findings: what is left, and what else the caller should know, by line.
    :ivar fragment: why the text is a fragment; None for a whole template.
    :ivar bags: the names of the rewritten launch configurations.
    """

    text: str
    findings: tuple[Finding, ...]
    fragment: str | None
    bags: tuple[str, ...]
    plan: Plan = field(repr=False, compare=False)

    @property
    def is_complete(self) -> bool:
        """True if nothing is left to rewrite by hand."""
        return not any(finding.is_left for finding in self.findings)


def rewrite(
    text: str,
    *,
    launched: Collection[str] = (),
    given: MappingType[str, bool] | None = None,
    needed: Collection[str] = (),
    shared: MappingType[str, str] | None = None,
    read_file: ReadFile | None = None,
) -> Result:
    """Return the template with data bags instead of launch configurations that keep facts.

    :param launched: launch configurations that groups in other fragments launch.
    :param given: parameters to which other fragments give values, and whether these refer to resources.
    :param needed: names to which other fragments refer.
    :param shared: launch configurations whose data bag another fragment has, and other names for them.
    :param read_file: returns the text of a file that the template names; None if it cannot.
    :raises NotATemplate: the text is not a template or a fragment of one.
    """
    mark = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    template = Template(text.removeprefix(mark))
    skip: dict[str, Finding] = {}
    while True:
        plan = make_plan(
            template, launched=launched, given=given, needed=needed, shared=shared, skip=skip
        )
        plan.findings += skip.values()
        try:
            rewriting = _Rewriting(template, plan, read_file)
            new = rewriting.text()
            verify(template, plan, new, rewriting.changed)
        except (NotRewritable, Mismatch, NotATemplate) as error:
            # One at a time is left out, so that one strange resource does not keep the others back.
            name = getattr(error, "name", None) or next(
                name for name in reversed(plan.bags) if name not in skip
            )
            line = template.resources[name].entry.key.line + 1
            skip[name] = Finding(line, f"{name} is not rewritten: the result would differ: {error}")
        else:
            findings = sorted({*plan.findings, *rewriting.findings}, key=lambda each: each.line)
            return Result(mark + new, tuple(findings), plan.fragment, tuple(plan.bags), plan)


class _Rewriting:
    """The edits of one plan."""

    def __init__(self, template: Template, plan: Plan, read_file: ReadFile | None) -> None:
        self._template = template
        self._plan = plan
        self._read_file = read_file
        self._lines = Lines(template.text, template.root)
        self._functions = Functions(template)
        self._block = BlockStyle(template, self._lines, self._functions)
        self._flow = FlowStyle(template, self._lines, self._functions)
        self.findings: list[Finding] = []
        self.changed: set[str] = set()
        """The resources whose text changes."""

    def text(self) -> str:
        """Return the new text."""
        if self._plan.is_empty:
            return self._template.text
        edits = list(self._edits())
        return apply(self._template.text, edits)

    def _edits(self) -> Iterator[Edit]:
        for bag in self._plan.bags.values():
            yield from self._guard(bag, partial(self._of_bag, bag))
        yield from self._removals()
        for path in self._plan.reads:
            self.changed.add(path.owner)
            yield self._read_path(path)
        for node, name in self._attributes():
            yield from self._attribute(node, name)
        for order in order_edits(self._template, self._plan, self._lines, self._functions):
            self.changed.add(order.owner)
            yield order.edit
        for command in self._plan.commands:
            self.changed.add(command.owner)
            grant = self._plan.bags[command.name].grant
            yield from command.edits(self._template, self._lines, self._functions, grant)
        self.findings += remaining_readers(self._template, self._plan, self._read_file)

    def _of_bag(self, bag: Bag) -> list[Edit]:
        return [*self._body(bag), *self._beside(bag)]

    def _guard(self, bag: Bag, edits: Callable[[], list[Edit]]) -> list[Edit]:
        try:
            return edits()
        except NotRewritable as error:
            error.name = bag.name  # type: ignore[attr-defined]
            raise

    # The resource itself

    def _body(self, bag: Bag) -> Iterator[Edit]:
        words = self._template.words
        self.changed.add(bag.name)
        if bag.new_name is not None:
            key = bag.resource.entry.key
            quote = key.style if key.style in ("'", '"') else ""
            yield Edit(key.start, key.end, f"{quote}{bag.new_name}{quote}")
        kind = bag.resource.body.entry(words.type)
        metadata = bag.resource.body.entry(words.metadata)
        if kind is None or metadata is None or not isinstance(kind.value, Scalar):
            raise NotRewritable("its type is not a word", bag.resource.entry.key.line + 1)
        quote = kind.value.style if kind.value.style in ("'", '"') else ""
        new = _BAG if bag.host is None else _FACTS
        yield Edit(kind.value.start, kind.value.end, f"{quote}{new}{quote}")
        section = "parameters" if bag.host is None else "facts"
        gone = [
            entry
            for entry in bag.resource.body.entries
            if entry.key.value == words.properties
            or (entry.key.value == words.metadata and entry is not metadata)
            or (entry.key.value == words.depends_on and bag.depends_late and bag.host is None)
        ]
        if self._lines.is_block(metadata):
            yield self._block.replace_metadata(metadata, self._header(bag), section, bag)
            for entry in gone:
                yield self._block.remove(entry)
            return
        text = self._flow.metadata(metadata, self._header(bag), section, bag)
        replaced = [] if text is None else [(metadata, text)]
        yield from self._flow.members(
            bag.resource.body, gone if text is not None else [*gone, metadata], replaced
        )

    def _header(self, bag: Bag) -> list[tuple[str, str]]:
        if bag.host is not None:
            header = [("bag", self._functions.resource(bag.host))]
            return header + ([("kind", self._functions.text("parameter"))] if bag.early else [])
        own = [each for each in self._plan.bags.values() if each.host is None]
        if len(own) > 1 or self._plan.fragment is not None:
            return [("name", self._functions.stack_prefixed(bag.name))]
        return []

    # New resources

    def _beside(self, bag: Bag) -> list[Edit]:
        entry = bag.resource.entry
        style = self._block if self._lines.is_block(entry) else self._flow
        words = self._template.words
        reference = [("bag", self._functions.resource(bag.bag))]
        conditions = [each for each in bag.resource.body.entries if each.key.value in _CONDITION]
        order = bag.resource.body.entry(words.depends_on)
        texts = []
        if bag.facts_name is not None:
            more = conditions + ([order] if order is not None and bag.depends_late else [])
            facts = ("facts", bag.late)
            texts.append(style.resource(entry, bag.facts_name, _FACTS, reference, facts, more))
        if bag.grant_name is not None:
            role = [*reference, ("role", self._functions.text("reader"))]
            texts.append(style.resource(entry, bag.grant_name, _GRANT, role, None, conditions))
        if not texts:
            return []
        return [style.insert_after(entry, texts)]

    def _removals(self) -> list[Edit]:
        section = self._template.section
        entries = [self._template.resources[name].entry for name in self._plan.removed]
        if section.flow:
            return self._flow.members(section, entries)
        return [self._block.remove_resource(entry) for entry in entries]

    # Readers

    def _read_path(self, path: ReadPath) -> Edit:
        url = self._functions.context_url(self._plan.bags[path.names[0]].grant)
        if path.is_alias:
            holder = path.holder.value
            section = target(holder)
            if not isinstance(section, Mapping) or len(section.entries) > 1:
                raise NotRewritable(
                    "os-collect-config is an alias of several settings", holder.line + 1
                )
            quoted = [self._functions.text(each) for each in ("request", "metadata_url")]
            text = f"{{{quoted[0]}: {{{quoted[1]}: {url}}}}}"
            return Edit(holder.start, holder.end, text)
        if self._lines.is_block(path.entry):
            return self._block.read_path(path.entry, url)
        return self._flow.read_path(path.entry, url)

    def _attributes(self) -> Iterator[tuple[Sequence, str]]:
        """Yield the arguments of calls that read an attribute of a rewritten resource."""
        for node in self._template.root.walk():
            if isinstance(node, Mapping) and len(node.entries) == 1:
                entry = node.entries[0]
                given = entry.value
                if entry.key.value in ("Fn::GetAtt", "get_attr") and isinstance(given, Sequence):
                    first = given.items[0] if given.items else None
                    if isinstance(first, Scalar) and first.value in self._plan.bags:
                        yield given, first.value

    def _attribute(self, given: Sequence, name: str) -> Iterator[Edit]:
        second = given.items[1] if len(given.items) > 1 else None
        if isinstance(second, Scalar) and str(second.value).lower() == "metadata":
            owner = self._owner(second)
            if owner in self._plan.bags:
                # Its text is moved as it is, and one text cannot have two edits.
                whose = "its own metadata" if owner == name else f"the metadata of {name}"
                again = "" if owner == name else "; run the program once more"
                raise Mismatch(f"it refers to {whose}{again}", owner)
            self.changed.add(owner)
            bag = self._plan.bags[name]
            key = given.items[2] if len(given.items) > 2 else None
            late = {item.path[0] for item in bag.late}
            if bag.facts_name and late and (not isinstance(key, Scalar) or key.value in late):
                # The attribute of the Facts is read after they are written.
                first = given.items[0]
                yield Edit(first.start, first.end, self._functions.text(bag.facts_name))
            yield Edit(second.start, second.end, self._functions.text("facts"))
        else:
            self.findings.append(
                Finding(
                    given.line + 1, f"an attribute of {name} is read that a data bag does not have"
                )
            )

    def _owner(self, node: Node) -> str:
        """Return the resource whose text contains a node; empty if none does."""
        return next(
            (
                name
                for name, each in self._template.resources.items()
                if each.entry.key.start <= node.start < each.entry.value.end
            ),
            "",
        )
