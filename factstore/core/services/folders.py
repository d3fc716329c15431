"""Folders: deleting all facts at and below a path."""

from __future__ import annotations

from collections.abc import Collection

from factstore.core.errors import FactstoreError
from factstore.core.model.counts import counted
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author, DeletePrefix, Scope
from factstore.core.model.permissions import OWNER
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.ports import Store
from factstore.core.services.facts import FactService
from factstore.core.services.readable_facts import fact_missing


@quick_dataclass(frozen=True, slots=True)
class DeletedFolder:
    """The outcome of the deletion of a folder.

    :param deleted: the number of facts.
    :param revisions: the number of revisions in which they were deleted.
    :param cursor: of the last of them, or a later one.
    """

    deleted: int
    revisions: int
    cursor: Cursor


class FolderService:
    """The service for folders."""

    def __init__(self, store: Store, facts: FactService) -> None:
        self._store = store
        self._facts = facts

    def delete(
        self,
        scope: Scope,
        path: str,
        author: Author,
        *,
        itself: bool = True,
        fences: Collection[str] = (),
    ) -> DeletedFolder:
        """Delete all facts at and below a path, in pieces that fit into one write.

        At the cursor that is returned, there was no fact at and below the path.

        :param itself: False to leave out a fact at the path itself.
        :raises NotFound: there is no such fact.
        :raises FactstoreError: ``extra["deleted"]`` counts the facts that were deleted before, if any.
        """
        deleted = revisions = 0
        request = DeletePrefix(path, itself, in_pieces=True)
        while True:
            try:
                written = self._facts.write(
                    scope, [request], [], author, None, fences=fences, create=False
                )
            except FactstoreError as error:
                if deleted:
                    error.extra["deleted"] = deleted
                    gone = counted(deleted, "fact")
                    error.detail += (
                        f" Before, the request deleted {gone}; the others are unchanged."
                    )
                raise
            (result,) = written.results
            deleted += result.deleted or 0
            revisions += result.outcome == "deleted"
            if not result.more:
                break
        if not deleted:
            raise fact_missing(self._store.state(), scope, path, OWNER)
        return DeletedFolder(deleted, revisions, written.cursor)
