"""The leases of a stack's receipts: receipts of the same time share one, because leases are costly."""

from __future__ import annotations

from dataclasses import field

from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.receipt import Receipt


@quick_dataclass(slots=True)
class _Lease:
    since: str
    receipts: int = 0


@quick_dataclass(slots=True)
class ReceiptLeases:
    """The leases to which receipts are attached, with the time of the first receipt of each."""

    _leases: dict[int, _Lease] = field(default_factory=dict)

    def put(self, receipt: Receipt) -> None:
        """Add a new receipt."""
        lease = self._leases.setdefault(receipt.lease, _Lease(receipt.created_at))
        lease.since = min(lease.since, receipt.created_at)  # a state is loaded in the order of keys
        lease.receipts += 1

    def drop(self, receipt: Receipt) -> None:
        """Remove a receipt."""
        lease = self._leases[receipt.lease]
        lease.receipts -= 1
        if not lease.receipts:
            del self._leases[receipt.lease]

    def used_before(self, instant: str) -> list[int]:
        """Return the leases whose first receipt is older than an instant."""
        return [lease for lease, found in self._leases.items() if found.since < instant]

    def used_since(self, instant: str) -> int:
        """Return the newest lease whose first receipt is no older than an instant; 0 for none."""
        since, newest = max(
            ((found.since, lease) for lease, found in self._leases.items()), default=("", 0)
        )
        return newest if since >= instant else 0
