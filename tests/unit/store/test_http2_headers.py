"""The header blocks of the calls on a connection."""

from __future__ import annotations

from factstore.store.client.http2_headers import HeaderBlocks, header_block, text

RANGE, TXN = "/etcdserverpb.KV/Range", "/etcdserverpb.KV/Txn"


def test_a_block_is_remembered_until_another_token_is_used() -> None:
    blocks = HeaderBlocks("http", "etcd:2379")
    first = blocks.make(RANGE, "t1")
    assert first == header_block("http", "etcd:2379", RANGE, "t1")
    blocks.make(TXN, "t1")
    assert set(blocks.known) == {(RANGE, "t1"), (TXN, "t1")}
    blocks.make(RANGE, "t2")
    assert blocks.known == {(RANGE, "t2"): header_block("http", "etcd:2379", RANGE, "t2")}


def test_a_block_has_the_scheme_the_token_and_further_headers() -> None:
    plain, secure = (HeaderBlocks(scheme, "etcd:2379") for scheme in ("http", "https"))
    assert plain.make(RANGE, "") != secure.make(RANGE, "")
    assert text("token") not in plain.make(RANGE, "")
    assert text("secret") in plain.make(RANGE, "secret")
    found = plain.with_metadata(RANGE, "", [("hasleader", "true")])
    assert text("hasleader") + text("true") in found
    assert set(plain.known) == {(RANGE, "secret")}, "blocks with metadata are not remembered"


def test_long_texts_have_a_length_of_several_bytes() -> None:
    assert text("a" * 126)[:1] == b"\x7e"
    assert text("a" * 127)[:2] == b"\x7f\x00"
    assert text("a" * 300)[:3] == bytes([127, (300 - 127) % 128 + 128, (300 - 127) // 128])
