"""Thousands of names of many tenants in one flat keyspace: no range holds another tenant's key.

Lists, deletes, purges and watches all request these ranges from etcd.  The random names are easily
mistaken for one another, and are the same in each run.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator

import pytest

from factstore.core.model.path import covers
from factstore.store.key_builder import KeyRange
from factstore.store.keyspace import Keyspace

KEYS = Keyspace("/factstore/v1")
NAMES = 20_000
PROJECTS, STACKS = 40, 15
SIBLINGS = ["a", "ab", "abc", "a-", "a_", "a0", "aa", "A", "Ab", "-", "_", "0", "-a"]
WORDS = ["facts", "data", "stacks", "a" * 63, "a" * 64, "a" * 62 + "-", "a" * 62 + "0"]
SEGMENTS = ["n", "n1", "n10", "n1-x", "n1.x", "n1:x", "n1@x", "n-", "n.1", "n0", "N", "facts", "0"]
FOLDERS = ["n", "n1", "n1/n", "n/n1", "facts", "n1.x/n10"]

Fact = tuple[str, str, str]  # project, stack id, path
Record = tuple[str, str]  # project, stack name


def identifiers(draw: random.Random, count: int) -> list[str]:
    """Return ids in the formats of Keystone and factstore, and ids that differ in one character."""
    found = {*SIBLINGS, *WORDS}
    while len(found) < count:
        made = f"{draw.getrandbits(128):032x}"
        found |= {made, made[:-1], made + "0", made[:-1] + draw.choice("0f-_")}
    return draw.sample(sorted(found), count)


def drawn(draw: random.Random) -> tuple[dict[bytes, Fact], dict[bytes, Record]]:
    """Keys of facts and of stacks' records, each with the names that it was built from."""
    projects, stacks = identifiers(draw, PROJECTS), identifiers(draw, STACKS)
    facts: dict[bytes, Fact] = {}
    records: dict[bytes, Record] = {}
    while len(facts) < NAMES:
        project, stack = draw.choice(projects), draw.choice(stacks)
        path = "/".join(draw.choices(SEGMENTS, k=draw.randint(1, 4)))
        key = KEYS.fact(project, stack, path)
        assert facts.setdefault(key, (project, stack, path)) == (project, stack, path)
        name = path.partition("/")[0]
        records[KEYS.stack(project, name)] = (project, name)
    return facts, records


@pytest.fixture(scope="module")
def names() -> tuple[dict[bytes, Fact], dict[bytes, Record]]:
    return drawn(random.Random(0))


def inside(keys: list[bytes], wanted: KeyRange) -> Iterator[bytes]:
    """Return those of some sorted keys that are in a range."""
    return iter(keys[bisect_left(keys, wanted.start) : bisect_left(keys, wanted.end)])


def test_a_range_contains_only_the_keys_of_its_own_tenant(
    names: tuple[dict[bytes, Fact], dict[bytes, Record]],
) -> None:
    facts, records = names
    keys = sorted([*facts, *records])
    tenants = {fact[:2] for fact in facts.values()}
    seen = 0
    for project, stack in tenants:
        for wanted in (KEYS.data(project, stack), KEYS.facts(project, stack)):
            found = list(inside(keys, wanted))
            assert {facts[key][:2] for key in found} == {(project, stack)}
            seen += len(found)
    assert seen == 2 * len(facts)  # so none is missing either
    for project in {project for project, _ in tenants}:
        found = list(inside(keys, KEYS.stacks(project)))
        assert {records[key][0] for key in found} == {project}
        seen += len(found)
    assert seen == 2 * len(facts) + len(records)


def test_a_folders_range_contains_just_the_paths_below_it(
    names: tuple[dict[bytes, Fact], dict[bytes, Record]],
) -> None:
    facts, records = names
    keys = sorted([*facts, *records])
    below: dict[Fact, int] = {}
    for project, stack, path in facts.values():
        for folder in FOLDERS:
            if covers(folder, path) and path != folder:
                place = (project, stack, folder)
                below[place] = below.get(place, 0) + 1
    for (project, stack, folder), count in below.items():
        found = [facts[key] for key in inside(keys, KEYS.facts(project, stack, folder))]
        assert len(found) == count
        assert all(fact[:2] == (project, stack) and covers(folder, fact[2]) for fact in found)


def test_a_key_is_parsed_into_the_names_that_it_was_built_from(
    names: tuple[dict[bytes, Fact], dict[bytes, Record]],
) -> None:
    """An event therefore reaches the tenant whose key changed, and no two names share a key."""
    facts, records = names
    for key, (project, stack, path) in facts.items():
        assert KEYS.parse(key) == ("fact", project, stack, path, None)
    for key, (project, name) in records.items():
        assert KEYS.parse(key) == ("stack", project, "", name, None)
