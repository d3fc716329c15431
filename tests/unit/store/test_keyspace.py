"""The key layout: no two records share a key, and no range reaches into another's."""

from __future__ import annotations

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from factstore.core.model.delivery import Owner
from factstore.core.model.path import covers
from factstore.core.model.record import RecordKey
from factstore.core.model.unnamed import unnamed_stack
from factstore.core.model.waiter import Signal
from factstore.store.key_builder import DELETION_AUTHOR_SLOTS, KeyRange
from factstore.store.keyspace import Keyspace, ParsedKey
from factstore.store.record_formats import RECORD_FORMATS
from tests.unit.core.test_path import paths, segments

KEYS = Keyspace("/factstore/v1")
ids = st.text(st.sampled_from(string.ascii_letters + string.digits + "_-"), min_size=1, max_size=8)
near_ids = st.sampled_from(["a", "ab", "a-", "a_", "a0", "A", "-a"]) | ids
near_paths = st.sampled_from(["n", "n/1", "n/10", "n/1-x", "n-1", "n.1", "n0", "n1/n"]) | paths


def holds(keys: KeyRange, key: bytes) -> bool:
    return keys.start <= key < keys.end


@given(near_ids, near_ids, near_paths, near_ids, near_ids, near_paths)
def test_different_facts_have_different_keys(
    p: str, s: str, path: str, p2: str, s2: str, path2: str
) -> None:
    same = (p, s, path) == (p2, s2, path2)
    assert (KEYS.fact(p, s, path) == KEYS.fact(p2, s2, path2)) == same


@given(near_ids, segments, near_ids, segments)
def test_different_stacks_have_different_records(p: str, name: str, p2: str, name2: str) -> None:
    assert (KEYS.stack(p, name) == KEYS.stack(p2, name2)) == ((p, name) == (p2, name2))


@given(near_ids, near_ids, near_ids, near_ids, near_paths)
def test_the_data_range_of_a_stack_contains_only_its_own_facts(
    p: str, s: str, p2: str, s2: str, path: str
) -> None:
    key = KEYS.fact(p2, s2, path)
    same = (p, s) == (p2, s2)
    assert holds(KEYS.data(p, s), key) == same
    assert holds(KEYS.facts(p, s), key) == same


@given(near_ids, near_ids, near_paths, near_paths)
def test_a_folders_range_contains_no_sibling(p: str, s: str, folder: str, path: str) -> None:
    below = covers(folder, path) and path != folder
    assert holds(KEYS.facts(p, s, folder), KEYS.fact(p, s, path)) == below


@given(near_ids, near_ids, segments)
def test_the_stacks_of_a_project_are_its_own(p: str, p2: str, name: str) -> None:
    assert holds(KEYS.stacks(p), KEYS.stack(p2, name)) == (p == p2)
    assert holds(KEYS.all_stacks, KEYS.stack(p2, name))


@given(near_ids, near_ids, segments, near_paths)
def test_a_key_is_parsed_into_its_names(p: str, s: str, name: str, path: str) -> None:
    fact, record = KEYS.parse(KEYS.fact(p, s, path)), KEYS.parse(KEYS.stack(p, name))
    assert fact is not None
    assert record is not None
    assert (fact.type, fact.project_id, fact.stack_id, fact.name) == ("fact", p, s, path)
    assert (record.type, record.project_id, record.name) == ("stack", p, name)


@given(near_ids, near_ids, near_paths, st.integers(0, 5000))
def test_every_kind_of_key_has_a_folder_of_its_own_below_the_root(
    p: str, s: str, path: str, slot: int
) -> None:
    name = path.partition("/")[0]
    ranges = [KEYS.all_stacks, KEYS.all_data, KEYS.all_purges]
    keys = [KEYS.stack(p, name), KEYS.fact(p, s, path), KEYS.purge(p, s)]
    others = [KEYS.epoch, KEYS.sentinel, KEYS.compactor, KEYS.act(slot), KEYS.receipt(p, s)]
    for n, kept in enumerate(ranges):
        assert [holds(kept, key) for key in keys] == [n == m for m in range(len(keys))]
        assert not any(holds(kept, key) for key in others)
    assert len({*keys, *others}) == len(keys) + len(others)
    assert all(holds(KEYS.everything, key) for key in [*keys, *others])


@given(near_ids, near_ids, near_paths)
def test_two_roots_share_no_key(p: str, s: str, path: str) -> None:
    other = Keyspace("/factstore/v10")
    assert not holds(KEYS.everything, other.fact(p, s, path))
    assert not holds(other.everything, KEYS.fact(p, s, path))


@given(st.text(max_size=10))
def test_an_id_that_would_change_the_structure_of_a_key_is_refused(text: str) -> None:
    plain = set(string.ascii_letters + string.digits + "_-")
    assume(not text or not set(text) <= plain)
    for build in (
        lambda: KEYS.stack(text, "name"),
        lambda: KEYS.stacks(text),
        lambda: KEYS.data("p", text),
        lambda: KEYS.data(text, "s"),
        lambda: KEYS.fact("p", text, "path"),
        lambda: KEYS.fact(text, "s", "path"),
        lambda: KEYS.facts("p", text),
        lambda: KEYS.receipt("p", text),
        lambda: KEYS.receipt(text, "key"),
        lambda: KEYS.purge(text, "s"),
        lambda: KEYS.purge("p", text),
    ):
        with pytest.raises(ValueError, match="id in a key"):
            build()


@pytest.mark.parametrize("text", ["a/b", "..", ".", "a\n", "a\0", "a%2Fb", "a" * 65, "é"])
def test_an_id_that_keystone_never_issues_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="id in a key"):
        KEYS.fact(text, "s", "p")


@given(near_ids, near_ids, segments, near_paths, st.integers(0, DELETION_AUTHOR_SLOTS - 1))
def test_every_key_that_is_built_is_parsed(p: str, s: str, name: str, path: str, slot: int) -> None:
    named = {
        KEYS.stack(p, name): ("stack", p, "", name),
        KEYS.fact(p, s, path): ("fact", p, s, path),
        KEYS.act(slot): ("act", "", "", f"{slot:04d}"),
        KEYS.receipt(p, s): ("receipt", p, "", s),
        KEYS.purge(p, s): ("purge", p, s, ""),
        KEYS.legacy(p): ("legacy", p, "", ""),
        KEYS.epoch: ("epoch", "", "", ""),
        KEYS.sentinel: ("sentinel", "", "", ""),
        KEYS.compactor: ("compactor", "", "", ""),
    }
    located = {key: ParsedKey(*what) for key, what in named.items()}
    for kind, row in RECORD_FORMATS.items():
        key = RecordKey(kind, f"{name}/0a" if kind is Signal else name)
        for place in row.places:
            project = "" if place == "service" else p
            at = s if place == "stack" else unnamed_stack(project).id
            located[KEYS.record(project, at, key)] = ParsedKey("record", project, at, key.name, key)
    assert {key: KEYS.parse_strict(key) for key in located} == located


@given(near_ids, near_ids, near_ids, segments, near_paths)
def test_ranges_of_a_project_contain_only_its_own_keys(
    p: str, p2: str, s: str, name: str, path: str
) -> None:
    of_stack = [KEYS.stack(p2, name), KEYS.fact(p2, s, path), KEYS.purge(p2, s)]
    owner = KEYS.record(p2, unnamed_stack(p2).id, RecordKey(Owner, name))
    for key in [*of_stack, KEYS.receipt(p2, s), KEYS.legacy(p2), owner]:
        assert sum(holds(kept, key) for kept in KEYS.project(p)) == (p == p2)


@pytest.mark.parametrize(
    "rest",
    [
        *("", "x", "epoch/x", "stacks", "stacks/p", "stacks/p/a/b", "stacks/p.q/a", "stacks//a"),
        *("data/p/s", "data/p/s/x", "data/p/s/side/x", "data/p.q/s/facts/a", "data/p/s/facts"),
        *("acts/1", "acts/12345", "acts/1024", "acts/x", "acts/0001/x", "acts/-001"),
        *("projects/p/subscriptions", "projects/p/subscriptions/i/x", "projects//subscriptions/i"),
        *("projects/p/members/m", "projects/p.q/owners/i", "data/p/s/owners/i", "service/owners/i"),
        *("idem/p", "idem/p/k/x", "idem/p/k.", "purges/p", "purges/p/s/x", "purges/p/", "\xff"),
    ],
)
def test_a_foreign_key_is_not_parsed(rest: str) -> None:
    assert KEYS.parse_strict(f"{KEYS.root}/".encode() + rest.encode("latin-1")) is None


def test_the_number_of_deletion_author_keys_is_limited() -> None:
    slots = {KEYS.act(slot) for slot in range(3 * DELETION_AUTHOR_SLOTS)}
    assert len(slots) == DELETION_AUTHOR_SLOTS


@pytest.mark.parametrize(
    "rest", ["epoch", "sentinel", "idem/p/k", "purges/p/s", "data/p/s", "data/p/s/side/x", "x", ""]
)
def test_keys_outside_the_state_are_not_parsed_as_records(rest: str) -> None:
    assert KEYS.parse(f"{KEYS.root}/{rest}".encode()) is None
