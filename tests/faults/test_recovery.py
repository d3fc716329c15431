"""The service continues while the member of etcd that it uses is frozen."""

from __future__ import annotations

from pathlib import Path

from tests.faults.recovery import rows


def test_reads_and_writes_continue_while_the_own_member_of_etcd_is_frozen(tmp_path: Path) -> None:
    # The member is resumed once requests to the service succeed again; they never do if they need it.
    (row,) = rows(["pause the own follower"], tmp_path)
    print(row)
    assert all(gap > 0 for gap in row.gaps.values())
