"""Writing a configuration, deleting it, and reporting its result."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, ClassVar, Literal, TypeVar

from factstore.core.errors import Conflict, NotFound, PreconditionFailed
from factstore.core.model.configuration import (
    CONFIGURATIONS_PER_STACK,
    ORDER_KEY,
    Configuration,
    ConfigurationDefinition,
    ConfigurationOrder,
    check_no_circle,
    config_path,
    result_path,
)
from factstore.core.model.configuration_result import ConfigurationResult, StoredResult
from factstore.core.model.fact import Author, Delete, Put, Scope
from factstore.core.model.path import quoted
from factstore.core.model.permissions import CONFIGS
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.operations.bounds import check_bound
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.facts import WriteFacts
from factstore.core.operations.keyring import NoKeyring
from factstore.core.operations.operation import Draft, Operation, View
from factstore.core.state.configurations import configurations, deployed_on, find_configuration

T = TypeVar("T")

OBSTACLES = 50  # facts in the place of a result that are deleted with its report

WriteOutcome = Literal["created", "changed", "unchanged"]

_NO_ENCRYPTION = Encryption(NoKeyring())  # the facts of configurations are not sensitive


@quick_dataclass(slots=True)
class PutConfiguration(Operation[WriteOutcome]):
    """Create a configuration, or change its definition, so that it runs again.

    The same definition changes nothing.  The result of a former definition is deleted.

    :param id: the id of the new definition.
    :param create_only: refuse if the configuration exists.
    """

    may_create_stack: ClassVar[bool] = True

    scope: Scope
    key: str
    definition: ConfigurationDefinition
    id: str
    author: Author
    create_only: bool = False

    def plan(self, view: View) -> Draft[WriteOutcome]:
        """Return the draft.

        :raises PreconditionFailed: see *create_only*.
        :raises Conflict: ``configuration_circle``.
        :raises Forbidden: ``quota_exceeded``: the stack has too many configurations.
        """
        known = _find(view, self.key)
        if known is not None and self.create_only:
            raise PreconditionFailed(f"Configuration {quoted(self.key)} exists already.")
        if known is not None and known.definition == self.definition:
            path = config_path(self.key)
            return Draft("unchanged", fact_revisions={path: known.fact.revision})
        check_no_circle(self.key, self.definition.depends_on, lambda key: _depends_on(view, key))
        if known is None:
            _check_room(view)
        record = view.record(ORDER_KEY)
        order = record if isinstance(record, ConfigurationOrder) else ConfigurationOrder(0)
        sequence = known.sequence if known else order.last + 1
        document = {"id": self.id, "sequence": sequence, **self.definition.document}
        if known is not None and view.stack_state is not None:
            keys = deployed_on(view.stack_state, known)
            document["deployed_on"] = None if keys is None else list(keys)
        outcome: WriteOutcome = "changed" if known else "created"
        draft = _draft(
            view,
            self,
            outcome,
            [Put.of(config_path(self.key), document), Delete(result_path(self.key))],
        )
        return replace(
            draft,
            # The number of a fact that somebody else wrote must not use up the numbers of others.
            records=(*draft.records, ConfigurationOrder(order.last if known else sequence)),
            record_revisions={
                **draft.record_revisions,
                ORDER_KEY: record.revision if record else 0,
            },
        )


@quick_dataclass(slots=True)
class DeleteConfiguration(Operation[None]):
    """Delete a configuration and its result."""

    scope: Scope
    key: str
    author: Author

    def plan(self, view: View) -> Draft[None]:
        """Return the draft.

        :raises NotFound: there is no such configuration.
        """
        if _find(view, self.key) is None:
            raise configuration_missing(view.scope, self.key)
        return _draft(
            view, self, None, [Delete(config_path(self.key)), Delete(result_path(self.key))]
        )


@quick_dataclass(frozen=True, slots=True)
class ReportedResult:
    """The configuration of a report, its result, and whether the report changed anything."""

    configuration: Configuration
    result: StoredResult
    changed: bool


@quick_dataclass(slots=True)
class ReportResult(Operation[ReportedResult]):
    """Store the result of a configuration, in place of other facts where it is to be.

    :param fences: generations of members; all must be alive.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    key: str
    result: ConfigurationResult
    author: Author
    fences: Collection[str] = ()

    def plan(self, view: View) -> Draft[ReportedResult]:
        """Return the draft.

        :raises NotFound: there is no such configuration.
        :raises Conflict: ``configuration_changed``: the result is that of a former definition;
            ``configuration_ended``: another end was reported; or a fence does not hold.
        """
        configuration = _find(view, self.key)
        if configuration is None:
            raise configuration_missing(view.scope, self.key)
        if configuration.id != self.result.id:
            raise Conflict(
                f"Configuration {quoted(self.key)} has another id than {quoted(self.result.id)}: its "
                "definition was changed. Read the configuration again.",
                code="configuration_changed",
                extra={"id": configuration.id},
            )
        path = result_path(self.key)
        known = StoredResult.parse(view.fact(path))
        if known is not None and known.result.id != self.result.id:
            known = None
        guards = {config_path(self.key): configuration.fact.revision}
        if known is not None and known.result == self.result:
            reported = ReportedResult(configuration, known, changed=False)
            return Draft(reported, fact_revisions={**guards, path: known.fact.revision})
        if known is not None and known.result.ended:
            raise Conflict(
                f"Configuration {quoted(self.key)} is {known.result.state} already; a result that was "
                "reported is not changed. To run the configuration again, change its definition.",
                code="configuration_ended",
                extra={"state": known.result.state},
            )
        document = {
            **self.result.document,
            "started_at": known.started_at if known else view.now,
            "ended_at": view.now if self.result.ended else None,
        }
        obstacles = list(_obstacles(view, path))
        requests: list[Put | Delete] = [Put.of(path, document), *map(Delete, obstacles)]
        draft: Draft[Any] = _draft(view, self, None, requests, self.fences, obstacles)
        stored = StoredResult(
            self.result, document["started_at"], document["ended_at"], draft.puts[0]
        )
        return replace(
            draft,
            outcome=ReportedResult(configuration, stored, changed=True),
            fact_revisions={**draft.fact_revisions, **guards},
        )


def _draft(
    view: View,
    operation: PutConfiguration | DeleteConfiguration | ReportResult,
    outcome: T,
    requests: Sequence[Put | Delete],
    fences: Collection[str] = (),
    obstacles: Collection[str] = (),
) -> Draft[T]:
    """Return the draft of writing facts."""
    write = WriteFacts(
        operation.scope,
        requests,
        (),
        operation.author,
        _NO_ENCRYPTION,
        fences=fences,
        obstacles=obstacles,
    )
    draft = write.plan(view)
    return Draft(
        outcome,
        puts=draft.puts,
        deletes=draft.deletes,
        fact_revisions=draft.fact_revisions,
        records=draft.records,
        removes=draft.removes,
        record_revisions=draft.record_revisions,
        leases=draft.leases,
        ends=draft.ends,
    )


def _obstacles(view: View, path: str) -> Iterator[str]:
    """Yield the facts below the path of a result, and one in place of the folder of its member."""
    if view.stack_state is not None:
        yield from islice(view.stack_state.below(path), OBSTACLES)
    folder = path.rpartition("/")[0]
    if view.fact(folder) is not None:
        yield folder


def _find(view: View, key: str) -> Configuration | None:
    return find_configuration(view.stack_state, key) if view.stack_state else None


def _depends_on(view: View, key: str) -> Sequence[str]:
    found = _find(view, key)
    return found.definition.depends_on if found else ()


def _check_room(view: View) -> None:
    # Facts are counted first, because parsing all configurations takes a while.
    stack = view.stack_state
    if stack is None or stack.count_below(CONFIGS.rstrip("/")) < CONFIGURATIONS_PER_STACK:
        return
    check_bound("configurations", len(configurations(stack)), CONFIGURATIONS_PER_STACK)


def configuration_missing(scope: Scope, key: str) -> NotFound:
    """Return the refusal of a request about a configuration that does not exist."""
    return NotFound(
        f"There is no configuration {quoted(key)} in a stack named {quoted(scope.stack)}."
    )
