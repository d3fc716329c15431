"""Headers and framings that are refused, each with its answer."""

from __future__ import annotations

import base64
import gzip

Headers = tuple[str, ...]

# Of a PUT of a fact.
WRITING = {
    "an empty key": ("Idempotency-Key: ", "400 header_invalid"),
    "a long key": ("Idempotency-Key: " + "x" * 256, "400 header_invalid"),
    "a key of other letters": ("Idempotency-Key: \xc3\xb6", "400 header_invalid"),
    "a tag without quotes": ("If-Match: abc", "400 etag_invalid"),
    "half a tag": ('If-Match: "abc', "400 etag_invalid"),
    "an empty tag list": ("If-Match: ", "400 etag_invalid"),
    "a comma at the end": ('If-Match: "a",', "400 etag_invalid"),
    "a star among tags": ('If-Match: *, "a"', "400 etag_invalid"),
    "a weak tag": ('If-Match: W/"a"', "400 etag_invalid"),
    "a tag of other letters": ('If-Match: "\xc3\xb6"', "400 etag_invalid"),
    "a tag with a space": ('If-Match: "a b"', "400 etag_invalid"),
    "thousands of commas": ("If-Match: " + "," * 8000, "400 etag_invalid"),
    "create unless it is so": ('If-None-Match: "a"', "400 header_invalid"),
    "nonsense to create": ("If-None-Match: a", "400 etag_invalid"),
    "an empty cause": ("Factstore-Cause: ", "400 header_invalid"),
    "a cause that is no cursor": ("Factstore-Cause: 12", "400 header_invalid"),
    "a cause beyond all revisions": (
        "Factstore-Cause: 0123456789abcdef.9223372036854775808",
        "400 header_invalid",
    ),
    "an empty generation": ("Factstore-Generation: ", "400 header_invalid"),
    "a generation in capitals": ("Factstore-Generation: ABC", "400 header_invalid"),
    "a generation with a prefix": ("Factstore-Generation: 0xabc", "400 header_invalid"),
    "two generations": ("Factstore-Generation: a, b", "400 header_invalid"),
    "17 digits of a generation": ("Factstore-Generation: " + "a" * 17, "400 header_invalid"),
    "a generation in other digits": ("Factstore-Generation: \xb2", "400 header_invalid"),
    "a generation that never lived": ("Factstore-Generation: abc", "409 generation_stale"),
    "both conditions": ('If-Match: "a"\r\nIf-None-Match: *', "400 header_invalid"),
    "a tag that nothing has": ('If-Match: "0123456789abcdef.1"', "412 precondition_failed"),
}

# Of a PUT of a waiter: it knows of no tags.
ARMING = {
    **{name: row for name, row in WRITING.items() if "If-None-Match" in row[0]},
    "a tag": ('If-Match: "0123456789abcdef.1"', "400 header_invalid"),
    "any tag": ("If-Match: *", "400 header_invalid"),
}

# Of a GET of a fact that is there.
READING = {
    "a tag without quotes": ("If-None-Match: a", "400 etag_invalid"),
    "an empty tag list": ("If-None-Match: ", "400 etag_invalid"),
    "XML wanted": ("Accept: application/xml", "406 not_acceptable"),
    "a stream of a fact": ("Accept: text/event-stream", "406 not_acceptable"),
    "no JSON wanted": ("Accept: application/json;q=0", "406 not_acceptable"),
    "nonsense wanted": ("Accept: \xff", "406 not_acceptable"),
    "a version to come": (
        "OpenStack-API-Version: contextualization 1.99",
        "406 microversion_unsupported",
    ),
    "a version before": (
        "OpenStack-API-Version: contextualization 0.9",
        "406 microversion_unsupported",
    ),
    "a version that is none": (
        "OpenStack-API-Version: contextualization 1.x",
        "400 header_invalid",
    ),
    "a version in other digits": (
        "OpenStack-API-Version: contextualization 1.\xb2",
        "400 header_invalid",
    ),
    "a version without service": ("OpenStack-API-Version: 1.0", "400 header_invalid"),
}


def _basic(pair: bytes) -> str:
    return f"Authorization: Basic {base64.b64encode(pair).decode()}"


ID, SECRET = f"{'0123456789abcdef' * 2}-{'0' * 16}", "s" * 43
NOBODY = f"Authorization: Bearer {ID}.{SECRET}"

# Of any request: who it says that it is from.
IDENTITY: dict[str, tuple[Headers, str]] = {
    **{
        what: ((f"Authorization:{said}",), "401 unauthorized")
        for what, said in {
            "nothing at all": "",
            "blanks": "    ",
            "a scheme alone": " Bearer",
            "the other scheme alone": " Basic",
            "a scheme and a blank": " Bearer ",
            "no scheme": f" {ID}.{SECRET}",
            "a scheme that nobody knows": f" Grant {ID}.{SECRET}",
            "digest": ' Digest username="a", realm="b", nonce="c", uri="/", response="d"',
            "negotiate": " Negotiate YII=",
            "a scheme with a colon": f" Bearer: {ID}.{SECRET}",
            "a scheme that grew": f" Bearers {ID}.{SECRET}",
            "a bearer without a dot": f" Bearer {ID}",
            "a bearer that is a dot": " Bearer .",
            "a bearer without a secret": f" Bearer {ID}.",
            "a bearer without an id": f" Bearer .{SECRET}",
            "a bearer with a colon": f" Bearer {ID}:{SECRET}",
            "a bearer in quotes": f' Bearer "{ID}.{SECRET}"',
            "two words": f" Bearer {ID}. {SECRET}",
            "a bearer of other letters": " Bearer \xc3\xb6.\xc3\xb6",
            "a bearer of digits of others": f" Bearer {ID}.\xb2\xb3",
            "a bearer that reaches out": " Bearer ../../x.x",
            "a bearer as long as can be": " Bearer " + "a" * 4000 + "." + "b" * 4000,
            "a basic that is no base64": " Basic !!!!",
            "a basic without its padding": " Basic " + base64.b64encode(b"ab:cd").decode()[:-1],
            "a basic with junk in it": " Basic YTpi YTpi",
            "a basic of another alphabet": " Basic YT-_",
            "a basic that is not encoded": f" Basic {ID}:{SECRET}",
            "a basic as long as can be": " Basic " + base64.b64encode(b"a:" + b"b" * 5000).decode(),
            "a token of Keystone's": " Bearer gAAAAAB" + "x" * 170,
        }.items()
    },
    **{
        f"user and password that are {what}": ((_basic(pair),), "401 unauthorized")
        for what, pair in {
            "empty": b"",
            "a colon": b":",
            "without a colon": ID.encode(),
            "without a password": f"{ID}:".encode(),
            "without a user": f":{SECRET}".encode(),
            "joined by a dot": f"{ID}.{SECRET}".encode(),
            "not UTF-8": b"\xff:\xff",
            "UTF-8": "\u00f6:\u00f6".encode(),
            "with NUL": f"{ID}:\0".encode(),
            "with a newline": f"{ID}\n:{SECRET}".encode(),
        }.items()
    },
    "nobody's grant": ((NOBODY,), "401 unauthorized"),
    "nobody's user": ((_basic(f"{ID}:{SECRET}".encode()),), "401 unauthorized"),
    "a grant twice": ((NOBODY, NOBODY), "400 ambiguous"),
    "both spellings of a grant": (
        (NOBODY, _basic(f"{ID}:{SECRET}".encode())),
        "400 ambiguous",
    ),
    "a grant and a token": ((NOBODY, "X-Auth-Token: x"), "400 ambiguous"),
    "a token and a grant": (("X-Auth-Token: x", NOBODY), "400 ambiguous"),
    "a grant and no token": ((NOBODY, "X-Auth-Token:"), "400 ambiguous"),
    "no grant and a token": (("Authorization:", "X-Auth-Token: x"), "400 ambiguous"),
}

CODINGS = ("gzip", "GZIP", "deflate", "br", "identity, gzip", "nonsense")

# Of a PUT of a fact: how the body is said to be written.
MEDIA = {
    "XML": (("Content-Type: application/xml",), b"<value>1</value>", "415 media_type"),
    "a form with parts": (
        ("Content-Type: multipart/form-data; boundary=x",),
        b"--x--",
        "415 media_type",
    ),
    "nearly JSON": (("Content-Type: application/jsonp",), b'{"value": 1}', "415 media_type"),
    "a patch": (("Content-Type: application/merge-patch+json",), b"{}", "415 media_type"),
    "no type at all": (("Content-Type: ;;=",), b'{"value": 1}', "415 media_type"),
    **{
        f"{coding} of {media_type}": (
            (f"Content-Type: {media_type}", f"Content-Encoding: {coding}"),
            gzip.compress(b'{"value": "' + b"x" * 10_000_000 + b'"}'),
            "415 media_type",
        )
        for coding, media_type in (
            *((coding, "application/json") for coding in CODINGS),
            *((coding, "text/plain") for coding in CODINGS[:2]),
        )
    },
}

# Of a PUT of a fact, with what follows the headers; the server closes what it cannot read on.
CHUNKED = ("Content-Type: text/plain", "Transfer-Encoding: chunked")
FRAMINGS: dict[str, tuple[Headers, bytes, str]] = {
    "a header above 8 KiB": (("X-Long: " + "x" * 9000,), b"", "431 headers_too_large"),
    "a hundred headers and more": (("X-Many: x",) * 101, b"", "431 headers_too_large"),
    "both ways to state the length": (
        ("Content-Length: 3", "Transfer-Encoding: chunked"),
        b"0\r\n\r\n",
        "400 http_invalid",
    ),
    "the same in other order": (
        ("Transfer-Encoding: chunked", "Content-Length: 3"),
        b"0\r\n\r\n",
        "400 http_invalid",
    ),
    "two lengths": (("Content-Length: 3", "Content-Length: 4"), b"abcd", "400 http_invalid"),
    "a length that is no number": (("Content-Length: three",), b"abc", "400 http_invalid"),
    "a negative length": (("Content-Length: -1",), b"", "400 http_invalid"),
    "a length with a sign": (("Content-Length: +3",), b"abc", "400 http_invalid"),
    "a length in Python's spelling": (("Content-Length: 1_0",), b"0123456789", "400 http_invalid"),
    "an unknown transfer coding": (("Transfer-Encoding: gzip",), b"", "400 http_invalid"),
    "a coding before the last": (
        ("Transfer-Encoding: gzip, chunked",),
        b"0\r\n\r\n",
        "400 http_invalid",
    ),
    "a coding in a header of its own": (
        ("Transfer-Encoding: gzip", "Transfer-Encoding: chunked"),
        b"0\r\n\r\n",
        "400 http_invalid",
    ),
    "a coding behind the last": (("Transfer-Encoding: chunked, gzip",), b"", "400 http_invalid"),
    "neither a body nor a type": ((), b"", "400 invalid"),
    "no colon": (("nonsense",), b"", "400 http_invalid"),
    "a name that is none": (("X Odd: 1",), b"", "400 http_invalid"),
    "a type twice": (
        ("Content-Type: text/plain", "Content-Type: application/json"),
        b"1",
        "400 http_invalid",
    ),
    "a foreign expectation": (("Expect: miracles",), b"", "400 http_invalid"),
    "a chunk without a size": (CHUNKED, b"ZZ\r\nab\r\n0\r\n\r\n", "400 invalid"),
    "a chunk of negative size": (CHUNKED, b"-2\r\nab\r\n0\r\n\r\n", "400 invalid"),
    "a chunk longer than it says": (CHUNKED, b"2\r\nabcd\r\n0\r\n\r\n", "400 invalid"),
    "a chunk that ends early": (CHUNKED, b"9\r\nab", "400 invalid"),
    "a chunk larger than anything": (CHUNKED, b"f" * 30 + b"\r\nab", "413 too_large"),
    "chunks without a last": (CHUNKED, b"2\r\nab\r\n", "400 invalid"),
    "a trailer that is none": (CHUNKED, b"2\r\nab\r\n0\r\nnonsense\r\n\r\n", "400 invalid"),
    "a length that is not kept": (
        ("Content-Type: text/plain", "Content-Length: 100"),
        b"half",
        "400 invalid",
    ),
    "a length above 1 MiB": (
        ("Content-Type: text/plain", f"Content-Length: {2 * 1024 * 1024}"),
        b"",
        "413 too_large",
    ),
}
