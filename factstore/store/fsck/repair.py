"""Repairing the store: orphans, idle leases, keys of earlier versions, and what belongs to no stack."""

from __future__ import annotations

from factstore.store.client import EtcdClient
from factstore.store.fsck.reader import StoreReader
from factstore.store.fsck.report import Finding, Report
from factstore.store.head import new_store_id
from factstore.store.key_builder import KeyRange
from factstore.store.keyspace import Keyspace
from factstore.store.types import Compare, DeleteKeys, PutKey, Txn

CHUNK = 250  # keys deleted in one transaction: every other writer waits meanwhile


class StoreRepair:
    """Changes what no request to the API can change."""

    def __init__(self, client: EtcdClient, keyspace: Keyspace, reader: StoreReader) -> None:
        self._client = client
        self._keys = keyspace
        self._reader = reader

    def repair(self, report: Report) -> tuple[Finding, ...]:
        """Repair a store as far as possible without a decision of the operator.

        Nothing is changed if the report contains a key that is unknown or unreadable.

        :return: the findings that are repaired.
        """
        if not report.is_repairable:
            return ()
        self._delete(self._keys.all_legacy)
        idle = tuple([finding for finding in report.findings if finding.lease])
        for finding in idle:  # a write that would use one of them gets another
            self._client.revoke(finding.lease, deadline=self._reader.deadline())
        return (*self.mark_orphans(report), *idle)

    def renew_epoch(self) -> bool:
        """Write a new epoch, so that no earlier cursor or entity tag is valid.

        :return: False if there is no epoch.
        """
        found = self._client.get(self._keys.epoch, deadline=self._reader.deadline()).items
        if not found:
            return False
        same = Compare(self._keys.epoch, "value", "==", found[0].value)
        name = PutKey(self._keys.epoch, new_store_id())
        # If the compare fails, another command has renewed it meanwhile.
        self._client.transact(Txn([same], [name]), deadline=self._reader.deadline())
        return True

    def mark_orphans(self, report: Report, project_id: str = "") -> tuple[Finding, ...]:
        """Mark orphans for deletion by the workers; those of one project, or all.

        An id is used only once, and the first data of a stack are written in one transaction with its
        record.  So a stack that did not exist at the revision of the report will not exist later,
        unless an operator restores its record.  An orphan is therefore marked only if no stack of its
        project was written since, and if the store is still the same.

        :return: the findings of those that are marked.
        """
        if not report.is_repairable:
            return ()
        marked = []
        for finding in report.findings:
            if finding.orphan and project_id in ("", finding.orphan[0]):
                stacks = self._keys.stacks(finding.orphan[0])
                purge = self._keys.purge(*finding.orphan)
                compares = [
                    Compare(self._keys.epoch, "value", "==", report.store_id),
                    Compare(stacks.start, "mod", "<", report.revision + 1, stacks.end),
                    Compare(purge, "create", "==", 0),
                ]
                put = PutKey(purge, b"")
                if self._client.transact(Txn(compares, [put]), deadline=self._reader.deadline())[0]:
                    marked.append(finding)
        return tuple(marked)

    def delete_outside_stacks(self, project_id: str) -> None:
        """Delete the keys of a project that belong to no stack."""
        for keys in self._keys.outside_stacks(project_id):
            self._delete(keys)

    def _delete(self, keys: KeyRange) -> None:
        while True:
            deadline = self._reader.deadline()
            found = self._client.get(*keys, limit=CHUNK, keys_only=True, deadline=deadline)
            if not found.items:
                return
            last = found.items[-1].key + b"\0"
            self._client.transact(Txn([], [DeleteKeys(keys.start, last)]), deadline=deadline)
