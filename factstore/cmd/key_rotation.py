"""Rotating the keys of an installation, and rewrapping its data keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from factstore.client.counts import counted
from factstore.cmd.deployment import Installation, run
from factstore.cmd.errors import CommandError
from factstore.cmd.sealed_records import read_sealed_records
from factstore.core.model.data_key import DATA_KEY
from factstore.core.model.fact import Stack
from factstore.core.services.key_rewrap import KeyRewrapResult
from factstore.keys.repository import RepositoryError
from factstore.keys.rotation import (
    create,
    is_without_primary_key,
    locked_repository,
    refuse_other_files,
    remove,
    rotate,
    surplus_keys,
)

PASSES = 5
"""Passes through all stacks while other hosts still wrap with an older key."""


class KeyRotation:
    """Rotates the keys in the repository at *path*.

    :param log: called with a line for each change.
    """

    def __init__(self, installation: Installation, path: Path, log: Callable[[str], None]) -> None:
        self._installation = installation
        self._path = path
        self._log = log

    def rotate(self, *, reseals: bool) -> bool:
        """Create or rotate the keys; return False if there cannot be data keys to rewrap.

        :param reseals: if True, :meth:`reseal` follows, nothing is changed unless etcd answers, and no
            first key is created if the store has data keys, which it could not open.
        :raises CommandError: the repository cannot be used, or is not that of the store.
        :raises FactstoreError: etcd does not answer.
        """
        try:
            refuse_other_files(self._path)
            # Before the directory is locked, which would create it.
            if reseals and is_without_primary_key(self._path):
                self._require_empty_store()
            with locked_repository(self._path) as repository:
                if create(repository):
                    self._log(f"{self._path}: created a primary and a staged key")
                    return False
                if reseals:
                    reader, keys = self._installation.reader, self._installation.keys
                    self._installation.client.get(keys.epoch, deadline=reader.deadline())
                primary = rotate(repository)
        except RepositoryError as error:
            raise CommandError(str(error)) from error
        if primary is None:
            self._log(
                f"{self._path}: completed an interrupted rotation; the primary key is the same"
            )
        else:
            self._log(
                f"{self._path}: key {primary} is now the primary key, and a new key is staged"
            )
        return True

    def reseal(self) -> bool:
        """Rewrap all data keys, then remove the oldest keys; return False if data keys are lost.

        :raises CommandError: the repository cannot be used.
        """
        try:
            refuse_other_files(self._path)
            with locked_repository(self._path) as repository:
                repository.read_keys()  # fail before anything is changed
                found = self._rewrap()
                old = surplus_keys(repository, self._installation.conf.sealing.max_active_keys)
                remove(repository, old)
        except RepositoryError as error:
            raise CommandError(str(error)) from error
        self._log(
            f"{counted(found.renewed, 'data key')} rewrapped, {found.current} already up to date"
        )
        for number in old:
            self._log(f"{self._path}: removed key {number}, which no data key needs any more")
        for stack in found.broken:
            self._log(self._lost_key_message(stack))
        for project_id, subscription in found.subscriptions:
            self._log(
                f"project {project_id}, subscription {subscription}: its secrets cannot be opened;"
                " restore the key, or have its owners rotate the secret with an overlap of 0"
            )
        return not (found.broken or found.subscriptions)

    def _require_empty_store(self) -> None:
        """Raise CommandError if the store has data keys, all of which were sealed elsewhere."""
        found = read_sealed_records(self._installation.reader, self._installation.keys)
        owners = [
            f"stack {stack.name} of project {stack.project_id}" for stack, _ in found.data_keys
        ]
        owners += [f"subscription {each.id} of project {p}" for p, each in found.subscriptions]
        if owners:
            raise CommandError(
                f"{self._path} has no primary key, but the store has"
                f" {counted(len(owners), 'sealed data key')}, such as that of {owners[0]}. New keys"
                " could not open what is sealed. Nothing was changed. Copy the directory from another"
                " API host or from a backup, or correct"
                " [sealing] key_repository. If the old keys are lost, create new ones with"
                " factstore rotate-keys --no-reseal"
            )

    def _rewrap(self) -> KeyRewrapResult:
        """Go through all stacks until no data key needs to be rewrapped."""
        renewed = 0
        with run(self._installation) as runtime:
            for _ in range(PASSES):
                found = runtime.services.key_rewrap.run()
                renewed += found.renewed
                if not found.renewed:
                    current = max(0, found.current - renewed)
                    return KeyRewrapResult(renewed, current, found.broken, found.subscriptions)
        raise CommandError(
            "other hosts still wrap data keys with an older key; copy the repository to all API hosts,"
            " then run factstore rotate-keys --reseal-only"
        )

    def _lost_key_message(self, stack: Stack) -> str:
        key = self._installation.keys.record(stack.project_id, stack.id, DATA_KEY).decode()
        return (
            f"project {stack.project_id}, stack {stack.name}: its data key cannot be unwrapped; "
            f"restore the key that wrapped it. If that key is lost, delete {key} in etcd, and have the "
            "sensitive facts written again"
        )
