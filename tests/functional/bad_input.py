"""All that is refused for how it is written: one table, a row each.

Limits, quotas and rates, which depend on what went before, have tests of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.functional import bad_bodies, bad_headers, bad_urls

JSON = "Content-Type: application/json"
TEXT = "Content-Type: text/plain"
FACT = "STACK/facts/a"
GOOD = b'{"value": "intruder"}'


@dataclass(frozen=True)
class Bad:
    """A request as it goes over the wire; STACK in its target stands for a stack.

    :param answer: status and code, as in ``400 schema``.
    :param there: whether the stack is there, with ``a`` as its one fact.
    """

    answer: str
    method: str = "PUT"
    target: str = FACT
    headers: tuple[str, ...] = (JSON,)
    body: bytes = GOOD
    there: bool = False


def _read(answer: str, target: str, *headers: str) -> Bad:
    return Bad(answer, "GET", target, headers, b"", there=True)


BODIES = {
    **{f"a fact: {what}": Bad(a, body=body) for what, (body, a) in bad_bodies.BODIES.items()},
    **{
        f"a text: {what}": Bad(a, headers=(TEXT,), body=body)
        for what, (body, a) in bad_bodies.TEXTS.items()
    },
    **{
        f"a batch: {what}": Bad(a, "POST", "STACK/batch", body=body)
        for what, (body, a) in bad_bodies.BATCHES.items()
    },
    **{
        f"a stack: {what}": Bad(a, target="STACK", body=body)
        for what, (body, a) in bad_bodies.STACKS.items()
    },
    **{
        f"a waiter: {what}": Bad(a, target="STACK/waiters/w", body=body)
        for what, (body, a) in bad_bodies.WAITERS.items()
    },
    "a waiter as a text": Bad("415 media_type", target="STACK/waiters/w", headers=(TEXT,)),
    "a batch as a text": Bad("415 media_type", "POST", "STACK/batch", (TEXT,)),
    "a batch without a type": Bad("415 media_type", "POST", "STACK/batch", ()),
    "a stack as a text": Bad("415 media_type", target="STACK", headers=(TEXT,)),
}

HEADERS = {
    **{
        f"writing: {what}": Bad(a, headers=(JSON, header))
        for what, (header, a) in bad_headers.WRITING.items()
    },
    **{
        f"reading: {what}": _read(a, FACT, header)
        for what, (header, a) in bad_headers.READING.items()
    },
    **{
        f"reading the context: {what}": _read(a, "STACK/context", header)
        for what, (header, a) in bad_headers.READING.items()
    },
    **{
        f"media: {what}": Bad(a, headers=headers, body=body)
        for what, (headers, body, a) in bad_headers.MEDIA.items()
    },
    **{
        f"framing: {what}": Bad(a, headers=headers, body=body)
        for what, (headers, body, a) in bad_headers.FRAMINGS.items()
    },
    **{
        f"arming: {what}": Bad(
            a,
            target="STACK/waiters/w",
            headers=(JSON, header),
            body=bad_bodies.waiter({"signals": 1}),
        )
        for what, (header, a) in bad_headers.ARMING.items()
    },
    "a stream from nonsense": _read(
        "400 cursor_invalid", "STACK/events", "Accept: text/event-stream", "Last-Event-ID: \xff"
    ),
}

URLS = {
    **{
        f"{method} {place}: {what}": Bad(
            "400 path_invalid",
            method,
            place.replace("SEGMENT", segment),
            body=bad_bodies.waiter({"signals": 1}) if "/waiters/" in place else GOOD,
            there=True,
        )
        for what, segment in bad_urls.SEGMENTS.items()
        for place in bad_urls.NAMED
        for method in ("GET", "PUT", "DELETE")
    },
    **{
        f"{method} {what}": Bad(a, method, target, there=True)
        for what, (target, a) in bad_urls.PATHS.items()
        for method in ("GET", "PUT")
    },
    **{what: Bad(a, method, target) for what, (method, target, a) in bad_urls.METHODS.items()},
    **{f"GET {target[:80]}": _read(a, target) for target, a in bad_urls.QUERIES},
}

TABLE = {**BODIES, **HEADERS, **URLS}
