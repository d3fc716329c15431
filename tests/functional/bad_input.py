"""Requests that are refused for their form: one table, a row for each.

Limits, quotas and rates depend on earlier requests and have tests of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.functional import bad_headers, bad_urls
from tests.functional.bad_bodies import (
    actions,
    alarms,
    batches,
    conditions,
    configurations,
    facts,
    grants,
    members,
    stacks,
    subscriptions,
    turns,
    waiters,
)

JSON = "Content-Type: application/json"
TEXT = "Content-Type: text/plain"
FACT = "STACK/facts/a"
MEMBER = "STACK/members/m"
RENEWAL = "STACK/grants/g/renew"
CONFIGURATION = "STACK/configurations/m/c"
TURN = "STACK/turns/q/m"
GOOD = b'{"value": "intruder"}'
GOOD_MEMBER = b'{"group": "intruders"}'


@dataclass(frozen=True)
class Bad:
    """A request as it is sent; STACK in its target stands for the path of a stack.

    :param answer: status and code, as in ``400 schema``.
    :param there: whether the stack exists, with ``a`` as its one fact.
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
    **{f"a fact: {what}": Bad(a, body=body) for what, (body, a) in facts.BODIES.items()},
    **{
        f"a text: {what}": Bad(a, headers=(TEXT,), body=body)
        for what, (body, a) in facts.TEXTS.items()
    },
    **{
        f"a batch: {what}": Bad(a, "POST", "STACK/batch", body=body)
        for what, (body, a) in batches.BATCHES.items()
    },
    **{
        f"a stack: {what}": Bad(a, target="STACK", body=body)
        for what, (body, a) in stacks.STACKS.items()
    },
    **{
        f"a waiter: {what}": Bad(a, target="STACK/waiters/w", body=body)
        for what, (body, a) in waiters.WAITERS.items()
    },
    **{
        f"an alarm: {what}": Bad(a, target="STACK/alarms/w", body=body)
        for what, (body, a) in alarms.ALARMS.items()
    },
    **{
        f"a configuration: {what}": Bad(a, target=CONFIGURATION, body=body)
        for what, (body, a) in configurations.CONFIGURATIONS.items()
    },
    **{
        f"a result: {what}": Bad(a, target=f"{CONFIGURATION}/result", body=body)
        for what, (body, a) in configurations.RESULTS.items()
    },
    "a waiter as a text": Bad("415 media_type", target="STACK/waiters/w", headers=(TEXT,)),
    **{
        f"a member: {what}": Bad(a, target=MEMBER, body=body)
        for what, (body, a) in members.MEMBERS.items()
    },
    **{
        f"a read set: {what}": Bad(a, target=f"{MEMBER}/read_set", body=body)
        for what, (body, a) in members.READ_SETS.items()
    },
    **{
        f"a state: {what}": Bad(a, "PATCH", MEMBER, body=body)
        for what, (body, a) in members.STATES.items()
    },
    **{
        f"a heartbeat: {what}": Bad(a, "POST", f"{MEMBER}/heartbeat", body=body)
        for what, (body, a) in members.HEARTBEATS.items()
    },
    **{
        f"a turn: {what}": Bad(a, target=TURN, body=body) for what, (body, a) in turns.TURNS.items()
    },
    **{
        f"an action: {what}": Bad(a, "POST", "STACK/actions", body=body)
        for what, (body, a) in actions.ACTIONS.items()
    },
    "an action as a text": Bad("415 media_type", "POST", "STACK/actions", (TEXT,)),
    "a turn as a text": Bad("415 media_type", target=TURN, headers=(TEXT,)),
    "a member as a text": Bad("415 media_type", target=MEMBER, headers=(TEXT,)),
    "a heartbeat as a text": Bad("415 media_type", "POST", f"{MEMBER}/heartbeat", (TEXT,)),
    **{
        f"a grant: {what}": Bad(a, "POST", "STACK/grants", body=body)
        for what, (body, a) in grants.GRANTS.items()
    },
    **{
        f"a renewal: {what}": Bad(a, "POST", RENEWAL, body=body)
        for what, (body, a) in grants.RENEWALS.items()
    },
    **{
        f"a subscription: {what}": Bad(a, "POST", "/v1/subscriptions", body=body)
        for what, (body, a) in subscriptions.SUBSCRIPTIONS.items()
    },
    "a grant as a text": Bad("415 media_type", "POST", "STACK/grants", (TEXT,)),
    "a grant without a type": Bad("415 media_type", "POST", "STACK/grants", ()),
    "a renewal as a text": Bad("415 media_type", "POST", RENEWAL, (TEXT,)),
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
        f"reading the {what}: {how}": _read(a, f"STACK/{what}", header)
        for what in ("context", "convergence", "configurations", "turns")
        for how in ("a tag without quotes", "XML wanted", "a version to come")
        for header, a in (bad_headers.READING[how],)
    },
    **{
        f"a member, {method} {what}": Bad(a, method, MEMBER, (JSON, header), body)
        for method, body in (("PUT", GOOD_MEMBER), ("DELETE", b""))
        for what in ("an empty generation", "two generations")
        for header, a in (bad_headers.WRITING[what],)
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
            body=waiters.waiter({"signals": 1}),
        )
        for what, (header, a) in bad_headers.ARMING.items()
    },
    **{
        f"identity: {what}": Bad(a, "PUT", FACT, (JSON, *headers), there=True)
        for what, (headers, a) in bad_headers.IDENTITY.items()
    },
    **{
        f"identity: {what}, GET": Bad(a, "GET", FACT, headers, b"", there=True)
        for what in ("nobody's grant", "a grant and a token")
        for headers, a in (bad_headers.IDENTITY[what],)
    },
    "a stream from nonsense": _read(
        "400 cursor_invalid", "STACK/events", "Accept: text/event-stream", "Last-Event-ID: \xff"
    ),
}


def _good_body(place: str) -> bytes:
    """A body that is right for what is at a place."""
    if "/members/" in place:
        return GOOD_MEMBER
    if "/turns/" in place:
        return b"{}"
    if "/configurations/" in place:
        return configurations.configuration()
    if "/alarms/" in place:
        return alarms.alarm(conditions.HERE)
    return waiters.waiter({"signals": 1}) if "/waiters/" in place else GOOD


def _named(method: str, place: str, what: str) -> Bad:
    """Return a request that is correct except for a segment of its URL."""
    target = place.replace("SEGMENT", bad_urls.SEGMENTS[what])
    body, headers = (_good_body(place), (JSON,)) if method == "PUT" else (b"", ())
    return Bad("400 path_invalid", method, target, headers, body, there=True)


URLS = {
    **{
        f"{method} {place}: {what}": _named(method, place, what)
        for what in bad_urls.SEGMENTS
        for method, place in (("GET", "STACK/facts/SEGMENT"),)
    },
    **{
        f"{method} {place}: {what}": _named(method, place, what)
        for what in bad_urls.TYPICAL
        for method, place in bad_urls.NAMED
    },
    **{
        what: Bad(a, "GET", target, (), b"", there=True)
        for what, (target, a) in bad_urls.PATHS.items()
    },
    **{
        f"PUT {what}": Bad(a, "PUT", bad_urls.PATHS[what][0], there=True)
        for what in ("slashes as in 'a//b'", "17 segments", "more behind a member")
        for a in (bad_urls.PATHS[what][1],)
    },
    **{
        f"departing by {word[:20]!r}": Bad(
            "400 query_invalid", "DELETE", f"{MEMBER}?declared={word}", (), b"", there=True
        )
        for word in bad_urls.WORDS[:2]
    },
    **{what: Bad(a, method, target) for what, (method, target, a) in bad_urls.METHODS.items()},
    **{f"GET {target[:80]}": _read(a, target) for target, a in bad_urls.QUERIES},
}

TABLE = {**BODIES, **HEADERS, **URLS}
