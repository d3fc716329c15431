"""Decoding of keys one after the other, which remembers the folder of the last fact."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from factstore.store.codec import encode_fact
from factstore.store.decoding import Decoder
from factstore.store.keyspace import Keyspace
from factstore.store.types import KeyValue, WatchEvent
from tests.unit.core.factories import fact

KEYS = Keyspace("/factstore/v1")
STACKS = [("p", "s"), ("p", "s2"), ("p2", "s")]
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(STACKS),
        st.sampled_from(["a", "a/b", "facts/a", "s/facts/a", "a/facts/a"]),
        st.booleans(),
        st.sampled_from([b"", b"x", b"/", b"\xff"]),
        st.sampled_from([encode_fact(fact("p")), b"junk", b"\xff"]),
    ),
    max_size=8,
)


@given(EVENTS)
def test_a_key_is_decoded_as_if_it_were_the_first(
    found: list[tuple[tuple[str, str], str, bool, bytes, bytes]],
) -> None:
    decoder = Decoder(KEYS)
    for (project_id, stack_id), path, deleted, end, value in found:
        key = KEYS.fact(project_id, stack_id, path) + end
        event = WatchEvent(KeyValue(key, value, 1, 2, 3, 0), deleted)
        assert decoder.mutation(event) == Decoder(KEYS).mutation(event)
