"""Changing the keys of an installation, and having its data keys wrapped with the newest one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from factstore.cmd.deployment import Installation, running
from factstore.cmd.errors import CommandError
from factstore.core.model.data_key import DATA_KEY
from factstore.core.model.fact import Stack
from factstore.core.services.key_rewrap import KeyRewrap, KeyRewrapResult
from factstore.keys.repository import Unusable
from factstore.keys.rotation import changing, create, excess, remove, rotate

PASSES = 5
"""How often to go through all stacks while hosts still wrap with the key that was primary before."""


class Rotating:
    """Works on the repository at *path*.

    :param say: gets a line for each thing that is done.
    """

    def __init__(self, installation: Installation, path: Path, say: Callable[[str], None]) -> None:
        self._installation = installation
        self._path = path
        self._say = say

    def rotate(self, *, reseals: bool) -> bool:
        """Make the first keys, or change them; whether there may be anything to wrap anew.

        :param reseals: whether :meth:`reseal` is to follow: then nothing is changed without etcd.
        :raises CommandError: the repository cannot be used.
        :raises FactstoreError: etcd cannot be asked.
        """
        try:
            with changing(self._path) as repository:
                if create(repository):
                    self._say(f"{self._path}: made a primary and a staged key")
                    return False
                if reseals:
                    reader, keys = self._installation.reader, self._installation.keys
                    self._installation.client.get(keys.epoch, deadline=reader.deadline())
                primary = rotate(repository)
        except Unusable as error:
            raise CommandError(str(error)) from error
        if primary is None:
            self._say(f"{self._path}: completed what was interrupted; the primary key is the same")
        else:
            self._say(f"{self._path}: key {primary} is the primary one now, and another is staged")
        return True

    def reseal(self) -> bool:
        """Wrap all data keys with the primary key, then remove the oldest keys; whether none is lost.

        :raises CommandError: the repository cannot be used.
        """
        try:
            with changing(self._path) as repository:
                repository.held()  # what cannot be used is told before anything else is done
                found = self._renew()
                old = excess(repository, self._installation.conf.sealing.max_active_keys)
                remove(repository, old)
        except Unusable as error:
            raise CommandError(str(error)) from error
        self._say(f"{found.renewed} data keys wrapped anew, {found.current} were already")
        for number in old:
            self._say(f"{self._path}: removed key {number}, which wraps nothing any more")
        for stack in found.broken:
            self._say(self._lament(stack))
        return not found.broken

    def _renew(self) -> KeyRewrapResult:
        """Go through all stacks until there is nothing left to do."""
        renewed = 0
        with running(self._installation) as runtime:
            resealing = KeyRewrap(
                runtime.store,
                runtime.clock,
                runtime.encryption,
                self._installation.conf.etcd.timeout,
            )
            for _ in range(PASSES):
                found = resealing.run()
                renewed += found.renewed
                if not found.renewed:
                    current = max(0, found.current - renewed)
                    return KeyRewrapResult(renewed, current, found.broken)
        raise CommandError(
            "others keep wrapping data keys with an older key; copy the repository to all API hosts, "
            "then run factstore rotate-keys --reseal-only"
        )

    def _lament(self, stack: Stack) -> str:
        key = self._installation.keys.record(stack.project_id, stack.id, DATA_KEY).decode()
        return (
            f"project {stack.project_id}, stack {stack.name}: its data key does not open; bring back "
            f"the key it was wrapped with, or, if that is lost for good, delete {key} in etcd, and "
            "have its sensitive facts put anew"
        )
