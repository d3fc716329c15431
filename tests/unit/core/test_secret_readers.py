"""The readers of sensitive facts."""

from __future__ import annotations

import pytest

from factstore.core.errors import Invalid
from factstore.core.model.secret_readers import NOBODY, READERS, SecretReader, check_readers

C1 = SecretReader(member="c1", group="compute")
READER_ONLY = SecretReader()


@pytest.mark.parametrize(
    ("path", "readers"),
    [
        ("nodes/c1/token", []),
        ("results/c1/setup/log", []),
        ("configs/c1/setup", []),
        ("shared/key", ["member/c1"]),
        ("shared/key", ["member/c2", "group/compute"]),
        ("nodes/c2/token", ["group/compute"]),
    ],
)
def test_a_grants_holder_sees_its_own_facts_and_those_that_name_it(
    path: str, readers: list[str]
) -> None:
    assert C1.may_reveal(path, readers)


@pytest.mark.parametrize(
    ("path", "readers"),
    [
        ("nodes/c1", []),
        ("nodes/c10/token", []),
        ("nodes/c2/token", []),
        ("other/c1/token", []),
        ("nodes/c1x/token", ["member/c10", "group/comput", "group/c1", "member/compute"]),
        ("shared/key", []),
    ],
)
def test_a_grants_holder_sees_nothing_else(path: str, readers: list[str]) -> None:
    assert not C1.may_reveal(path, readers)


def test_only_policy_shows_every_value() -> None:
    assert SecretReader(may_read_sensitive=True).may_reveal("nodes/c1/token", [])
    assert not NOBODY.may_reveal("nodes/c1/token", ["group/compute", "member/c1"])


def test_a_holder_without_a_member_or_group_matches_no_reader() -> None:
    assert not SecretReader().may_reveal(
        "nodes/None/token", ["member/None", "group/None", "group/"]
    )
    assert SecretReader(group="compute").may_reveal("shared/key", ["group/compute"])


def test_readers_are_sorted() -> None:
    assert check_readers(["member/c1", "group/head"], sensitive=True) == ("group/head", "member/c1")
    assert check_readers([], sensitive=False) == ()


@pytest.mark.parametrize(
    ("readers", "says"),
    [
        (["group/head", "group/head"], "twice"),
        (["head"], "is not valid"),
        (["group/"], "is not valid"),
        (["group/a/b"], "is not valid"),
        (["user/head"], "is not valid"),
        (["group/head\n"], "is not valid"),
        (["group/" + "x" * 129], "is not valid"),
        ([f"member/c{n}" for n in range(READERS + 1)], "at most 32"),
    ],
)
def test_an_invalid_reader_is_refused(readers: list[str], says: str) -> None:
    with pytest.raises(Invalid, match=says) as refused:
        check_readers(readers, sensitive=True)
    assert refused.value.code == "readers_invalid"


def test_readers_of_a_fact_that_is_not_sensitive_are_refused() -> None:
    with pytest.raises(Invalid, match="sensitive: true"):
        check_readers(["group/head"], sensitive=False)
