"""Issuing the grant of a server of Nova.

Nova asks whenever the server reads its metadata, often several times during one boot, and cloud-init
uses only the first response.  Therefore a server has one grant, and each response contains the same
secret.  The secret is not stored: it is derived from the stack's data key, and changes when the grant
is issued again after it was revoked or has expired.
"""

from __future__ import annotations

from factstore.core.model.data_key import DATA_KEY, DataKey
from factstore.core.model.fact import Author, Scope
from factstore.core.model.grant import Grant, IssuedGrant, digest_of
from factstore.core.model.grant_secret import as_text, signed_secret
from factstore.core.model.instance import InstanceRequest
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import RecordKey
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.grants import add_seconds, grants_in
from factstore.core.operations.operation import Draft, LeaseRequest, Operation, View

BOOT_SECONDS = 600
"""The time after which a server that has a grant has joined, if it ever will."""
INSTANCE_TTL = 365 * 24 * 3600
"""Seconds: the grant is handed out at the first boot alone, and a server may be off for long."""


@quick_dataclass(slots=True)
class IssueToInstance(Operation[IssuedGrant]):
    """Issue the grant of a server, or return the one that it has."""

    scope: Scope
    request: InstanceRequest
    author: Author
    encryption: Encryption

    def plan(self, view: View) -> Draft[IssuedGrant]:
        """Return the draft.

        :raises NotFound: the stack does not exist.
        :raises SealingUnavailable: the service has no keys.
        :raises SealBroken: the stack's data key cannot be unwrapped.
        """
        stack, request = view.stack, self.request
        stored = view.record(DATA_KEY)
        data_key = stored if isinstance(stored, DataKey) else self.encryption.new_data_key(stack)
        grant_id = f"{stack.id}-{request.grant_suffix}"
        former = view.record(RecordKey(Grant, grant_id))
        valid = isinstance(former, Grant) and view.now < former.expires_at
        created_at = former.created_at if isinstance(former, Grant) and valid else view.now
        derived = self.encryption.derive(stack, data_key, f"{grant_id} {created_at}")
        secret = signed_secret(derived, grant_id, view.state.signing_key)
        if isinstance(former, Grant) and valid and former.accepts(as_text(derived)):
            secret = as_text(derived)  # issued by an earlier version
        grant = Grant(
            id=grant_id,
            role="agent",
            member=self._member(view, grant_id, former if isinstance(former, Grant) else None),
            group=request.group,
            digest=digest_of(secret),
            ttl=INSTANCE_TTL,
            created_at=created_at,
            created_by=self.author.user_id,
            expires_at=add_seconds(view.now, INSTANCE_TTL),
            updated_by=self.author.user_id,
            request_id=self.author.request_id,
        )
        if isinstance(former, Grant) and valid and self._is_current(former, grant, view.now):
            return Draft(IssuedGrant(former, secret))
        return Draft(
            IssuedGrant(grant, secret),
            records=(grant,) if isinstance(stored, DataKey) else (grant, data_key),
            record_revisions={
                grant.record_key: former.revision if former else 0,
                DATA_KEY: stored.revision if stored else 0,
            },
            leases={grant.record_key: LeaseRequest(INSTANCE_TTL)},
            ends=(former.lease,) if former else (),
        )

    @staticmethod
    def _is_current(former: Grant, grant: Grant, now: str) -> bool:
        same = (former.digest, former.group, former.member) == (
            grant.digest,
            grant.group,
            grant.member,
        )
        return same and add_seconds(now, former.ttl // 2) < former.expires_at

    def _member(self, view: View, grant_id: str, former: Grant | None) -> str:
        """Return the name of the server's member: a declared one's, its host's, or a longer one."""
        if former is not None and former.member is not None:
            return former.member if self._was_first(view, former) else self.request.member_names[1]
        living = view.stack_state.live_members if view.stack_state else {}
        for member in living.values():
            if member.declared in self.request.declared_ids:
                return member.name
        host, longer = self.request.member_names
        if host in living and not living[host].declared_only:
            return longer
        return longer if self._booting(view, grant_id, host) else host

    def _was_first(self, view: View, former: Grant) -> bool:
        """Return False if two workers gave the host's name at once, and this server got it second."""
        host, _ = self.request.member_names
        booting = view.now < add_seconds(former.created_at, BOOT_SECONDS)
        member = view.member(host)
        if former.member != host or not booting or member is not None:
            return True
        others = self._booting(view, former.id, host)
        return all(former.revision < each.revision for each in others)

    @staticmethod
    def _booting(view: View, grant_id: str, host: str) -> list[Grant]:
        """Return the other grants for a member that were issued just now.

        A server that was deleted leaves a grant; its name is free for the next server.  One that has
        just been created has a grant and no member yet.
        """
        return [
            each
            for each in grants_in(view)
            if each.member == host
            and each.id != grant_id
            and view.now < add_seconds(each.created_at, BOOT_SECONDS)
        ]
