"""What can be wrong with what lies below the root, in words; the rules are in ``consistency``."""

from __future__ import annotations

from dataclasses import dataclass

ADVICE = {
    "epoch_missing": "start a worker, or wait for one that runs: it writes a new epoch, and "
    "cursors and entity tags from before end",
    "epoch_malformed": 'write a new one: etcdctl put KEY "$(openssl rand -hex 16)"; cursors and '
    "entity tags from before end",
    "compactor_malformed": "delete the key; the next worker whose turn it is writes a new one",
    "unknown_key": "if a newer factstore uses this store, verify with that one; else delete the key",
    "unreadable": "if a newer factstore wrote it, verify with that one; else restore the key from a "
    "backup, or delete it",
    "value_invalid": "write it anew, or delete the key",
    "name_invalid": "no request can name it: delete the key; its facts are then an orphan",
    "path_invalid": "no request can name it: delete the key",
    "place_invalid": "no request can name it: delete the key",
    "fact_and_folder": "delete the fact, or all facts below it",
    "ttl_without_lease": "it never expires: delete the fact, and put it anew",
    "lease_without_ttl": "it goes when that lease ends: delete the fact, and put it anew",
    "bound_without_lease": "it does not go with its member: delete the fact, and put it anew",
    "bound_astray": "it goes when its lease ends, and is right for a moment after its member was "
    "replaced: verify again; delete the fact if it is still there",
    "record_without_lease": "it never ends: delete the key; who is meant joins, or arms, anew",
    "record_astray": "it is of no use: delete the key",
    "lease_unexpected": "it goes when that lease ends: write the same again, without a lease",
    "sealed_without_key": "its sensitive facts cannot be read: restore the key from a backup, or put "
    "them anew",
    "receipt_without_lease": "it would stay for ever: delete the key",
    "id_shared": "look which record is right, and delete the other key",
    "purge_of_living": "workers sweep this stack's facts: delete the key at once, then restore what "
    "is missing",
    "orphan": "run factstore verify --repair, which has workers sweep it",
    "misplaced": "look which project is right, before you delete these keys",
}
"""What can be wrong, and what to do about it."""

_UNDERSTOOD = ADVICE.keys() - {"epoch_missing", "epoch_malformed", "unknown_key", "unreadable"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    :param kind: one of :data:`ADVICE`.
    :param orphan: project and stack id, of an orphan.
    """

    kind: str
    key: bytes
    problem: str
    orphan: tuple[str, str] | None = None

    @property
    def advice(self) -> str:
        """What to do about it."""
        return ADVICE[self.kind]


@dataclass(slots=True)
class Usage:
    """What a project has; bytes are those of canonical values and paths."""

    stacks: int = 0
    facts: int = 0
    bytes: int = 0
    receipts: int = 0


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found.

    :param life: the epoch's record; empty when there is none.
    :param projects: every project that some key names.
    """

    findings: tuple[Finding, ...]
    projects: dict[str, Usage]
    life: bytes

    @property
    def understood(self) -> bool:
        """Whether there is nothing of which we do not know what it means; else leave all alone."""
        return all(finding.kind in _UNDERSTOOD for finding in self.findings)
