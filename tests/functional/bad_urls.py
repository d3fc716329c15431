"""Paths, methods and query parameters that are refused, each with its answer.

A rule has one function, so each bad value stands at one place, and each place has a few values: the
product of both would try the function again and again.
"""

from __future__ import annotations

from collections.abc import Sequence

SEGMENTS = {
    "dot dot": "..",
    "dot": ".",
    "encoded dot dot": "%2e%2e",
    "half encoded dot dot": ".%2E",
    "hidden": ".hidden",
    "a dash first": "-rf",
    "an encoded slash": "x%2Fy",
    "an encoded slash in small letters": "x%2fy",
    "a double encoded slash": "x%252Fy",
    "an encoded backslash": "x%5Cy",
    "a backslash": "x\\y",
    "NUL": "x%00y",
    "a newline": "x%0Ay",
    "a carriage return": "x%0Dy",
    "DEL": "x%7Fy",
    "no UTF-8": "%ff",
    "other no UTF-8": "%fe",
    "an overlong slash": "%c0%af",
    "UTF-8": "%C3%B6",
    "a full-width slash": "x%EF%BC%8Fy",
    "a decomposed letter": "o%CC%88",
    "a homoglyph": "%D0%B0",
    "a space before": "%20x",
    "a space behind": "x%20",
    "a tab": "x%09",
    "a plus": "x+y",
    "a semicolon": "x;y",
    "an encoded semicolon": "x%3By",
    "a percent sign": "x%25",
    "half an encoding": "x%2",
    "no encoding": "x%zz",
    "a lone percent": "x%",
    "an encoded question mark": "x%3Fwait=1",
    "an encoded hash": "x%23",
    "quotes": "%22x%22",
    "a star": "*",
    "a tilde": "~root",
    "a comma": "x,y",
    "an equals sign": "x=y",
    "braces": "{x}",
    "129 characters": "x" * 129,
}

# The first is for the URL's rule, which sees no route; the others for those of paths and names.
TYPICAL = ("an encoded slash", "hidden", "129 characters")

# STACK stands for the path of a stack, SEGMENT for one of the above.
NAMED = [
    *(
        (method, place)
        for place in (
            "STACK/facts/SEGMENT",
            "STACK/facts/a/SEGMENT",
            "STACK/facts/SEGMENT/a",
            "STACK/facts/n/SEGMENT/a",
            "/v1/stacks/SEGMENT/facts/a",
            "STACK/waiters/SEGMENT",
            "STACK/alarms/SEGMENT",
            "STACK/members/SEGMENT",
            "STACK/configurations/SEGMENT/c",
            "STACK/configurations/m/SEGMENT",
            "STACK/turns/SEGMENT/m",
            "STACK/turns/q/SEGMENT",
        )
        for method in ("GET", "PUT", "DELETE")
    ),
    ("GET", "STACK/configurations/SEGMENT"),
    ("GET", "STACK/turns/SEGMENT"),
    *((method, "STACK/actions/SEGMENT") for method in ("GET", "DELETE")),
    ("POST", "STACK/actions/SEGMENT/cancel"),
    ("GET", "STACK/actions/SEGMENT/results"),
    ("GET", "STACK/actions/a/results/SEGMENT"),
    ("GET", "STACK/members/SEGMENT/actions"),
    ("GET", "STACK/grants/SEGMENT"),
    ("DELETE", "STACK/grants/SEGMENT"),
    ("POST", "STACK/grants/SEGMENT/renew"),
    *((method, "/v1/subscriptions/SEGMENT") for method in ("GET", "PATCH", "DELETE")),
    *(("POST", f"/v1/subscriptions/SEGMENT/{verb}") for verb in ("test", "rotate")),
    ("GET", "/v1/subscriptions/SEGMENT/deliveries"),
]


def once_each(
    places: Sequence[str], values: Sequence[str], typical: int = 1
) -> list[tuple[str, str]]:
    """Return every value at the first place, and the first *typical* ones at each other place."""
    first, *others = places
    return [
        *((first, value) for value in values),
        *((place, value) for place in others for value in values[:typical]),
    ]


PATHS = {
    **{
        f"slashes as in {path!r}": (f"STACK/facts/{path}", "400 path_invalid")
        for path in ("/a", "a//b", "a/", "//a", "a/b/", "/", "//", "")
    },
    "17 segments": ("STACK/facts/" + "/".join("x" * 17), "400 path_invalid"),
    "513 characters": ("STACK/facts/" + "/".join(["y" * 127] * 4) + "zz", "400 path_invalid"),
    "two slashes first": ("/STACK/facts/a", "400 path_invalid"),
    "two slashes before the facts": ("STACK//facts/a", "404 not_found"),
    "a slash behind the version": ("/v1//stacks", "404 not_found"),
    "a version to come": ("/v2/stacks", "404 not_found"),
    "a slash behind the stacks": ("/v1/stacks/", "404 not_found"),
    "a slash behind the context": ("STACK/context/", "404 not_found"),
    "more behind the context": ("STACK/context/x", "404 not_found"),
    "a waiter in a folder": ("STACK/waiters/a/b", "404 not_found"),
    "a slash behind the waiters": ("STACK/waiters/", "404 not_found"),
    "a slash behind a waiter": ("STACK/waiters/w/", "404 not_found"),
    "a slash behind an alarm": ("STACK/alarms/w/", "404 not_found"),
    "a slash behind the members": ("STACK/members/", "404 not_found"),
    "more behind a member": ("STACK/members/m/x", "404 not_found"),
    "more behind a heartbeat": ("STACK/members/m/heartbeat/x", "404 not_found"),
    "more behind the convergence": ("STACK/convergence/x", "404 not_found"),
    "more behind why": ("STACK/members/m/why/x", "404 not_found"),
    "a slash behind the waits": ("STACK/waits/", "404 not_found"),
    "more behind the waits": ("STACK/waits/x", "404 not_found"),
    "a slash behind the turns": ("STACK/turns/", "404 not_found"),
    "more behind a turn": ("STACK/turns/q/m/x", "404 not_found"),
    "a slash behind the actions": ("STACK/actions/", "404 not_found"),
    "more behind a result": ("STACK/actions/a/results/m/x", "404 not_found"),
    "a slash behind the grants": ("STACK/grants/", "404 not_found"),
    "a slash behind a grant": ("STACK/grants/g/", "404 not_found"),
    "more behind a renewal": ("STACK/grants/g/renew/x", "404 not_found"),
    "a slash behind the subscriptions": ("/v1/subscriptions/", "404 not_found"),
    "more behind a subscription": ("/v1/subscriptions/u/x", "404 not_found"),
    "a resource that is none": ("STACK/nonsense", "404 not_found"),
    "capitals": ("/V1/stacks", "404 not_found"),
    "a URL above 8 KiB": ("/" + "x" * 9000, "414 url_too_long"),
    "a query above 8 KiB": ("STACK?wait=" + "1" * 9000, "414 url_too_long"),
}

METHODS = {
    "TRACE": ("TRACE", "STACK/facts/a", "405 method_not_allowed"),
    "an invented method": ("BREW", "STACK/facts/a", "405 method_not_allowed"),
    "a method in small letters": ("get", "STACK/facts/a", "400 http_invalid"),
    "facts are not patched": ("PATCH", "STACK/facts/a", "405 method_not_allowed"),
    "stacks are not posted to": ("POST", "STACK", "405 method_not_allowed"),
    "lists are not deleted": ("DELETE", "STACK/facts", "405 method_not_allowed"),
    "batches are not read": ("GET", "STACK/batch", "405 method_not_allowed"),
    "waiters are not patched": ("PATCH", "STACK/waiters/w", "405 method_not_allowed"),
    "signals are not read": ("GET", "STACK/waiters/w/signal", "405 method_not_allowed"),
    "alarms are not patched": ("PATCH", "STACK/alarms/w", "405 method_not_allowed"),
    "members are not posted": ("POST", "STACK/members", "405 method_not_allowed"),
    "heartbeats are not put": ("PUT", "STACK/members/m/heartbeat", "405 method_not_allowed"),
    "convergence is not written": ("PUT", "STACK/convergence", "405 method_not_allowed"),
    "why is not written": ("PUT", "STACK/members/m/why", "405 method_not_allowed"),
    "waits are not written": ("PUT", "STACK/waits", "405 method_not_allowed"),
    "turns are not posted": ("POST", "STACK/turns/q/m", "405 method_not_allowed"),
    "a result is not read alone": (
        "GET",
        "STACK/configurations/m/c/result",
        "405 method_not_allowed",
    ),
    "actions are not put": ("PUT", "STACK/actions/a", "405 method_not_allowed"),
    "cancellations are not read": ("GET", "STACK/actions/a/cancel", "405 method_not_allowed"),
    "a queue is not put": ("PUT", "STACK/turns/q", "405 method_not_allowed"),
    "grants are not put": ("PUT", "STACK/grants", "405 method_not_allowed"),
    "a grant is not put": ("PUT", "STACK/grants/g", "405 method_not_allowed"),
    "a grant is not patched": ("PATCH", "STACK/grants/g", "405 method_not_allowed"),
    "renewals are not read": ("GET", "STACK/grants/g/renew", "405 method_not_allowed"),
    "subscriptions are not put": ("PUT", "/v1/subscriptions/u", "405 method_not_allowed"),
    "tests are not read": ("GET", "/v1/subscriptions/u/test", "405 method_not_allowed"),
    "a tunnel": ("CONNECT", "localhost:80", "404 not_found"),
}

PAGED = (
    "/v1/stacks",
    "STACK/facts",
    "STACK/members",
    "STACK/waiters",
    "STACK/alarms",
    "STACK/grants",
    "/v1/subscriptions",
)
WAITING = (
    *("STACK/facts/a", "STACK/context", "STACK/events", "STACK/convergence", "/v1/events"),
    *("STACK/waiters/w", "STACK/alarms/w", "STACK/turns", "STACK/turns/q", "STACK/turns/q/m"),
    *("STACK/configurations", "STACK/configurations/m", "STACK/configurations/m/c"),
    *("STACK/actions", "STACK/actions/a", "STACK/members/m/actions"),
)
WATCHED = ("STACK/facts", "STACK/events")
SETTLED = ("STACK/context", "STACK/events")
CURSORED = (
    *("/v1/stacks?cursor", "STACK/facts?cursor", "STACK/members?cursor", "STACK/events?since"),
    *("STACK/waiters?cursor", "STACK/alarms?cursor", "STACK/grants?cursor", "/v1/events?since"),
)
GROUPED = ("STACK/members", "STACK/convergence", "STACK/events")

WAITS = [
    *("51", "-1", "1.5", "ten", "", "1e1", "0x10", "%D9%A3", "9" * 5000, "%2B1", "1_0", "true"),
    "+1%20",
]
CURSORS = [
    *("-1", "7", "0123456789abcdef", "0123456789abcdef.", "0123456789abcdef.-1"),
    *("0123456789abcdef.01", "0123456789ABCDEF.1", "0123456789abcdef.1%20"),
    *("%200123456789abcdef.1", "0123456789abcdef.1%0A", f"0123456789abcdef.{2**63}"),
    *("0123456789abcdef." + "9" * 5000, "0123456789abcdef.%D9%A1", "0123456789abcdef.0x1"),
]
PLACES = ["..", "n1/..", "n1//ip", "/", "n1/%25", "n*", "n1/ip%00", "a/", "%C3%B6", "x" * 513]
PROJECTS = ["..", "a/b", "x" * 65, "a%252Fb", "%C3%B6", "a%20b", "a%0A", "%0A", ""]

WORDS = ["", "x" * 256, "%C3%B6", "%0A", "a%0A", "a%09b", "%00", "%7F"]
"""None that a member is declared as."""

# Of a GET, where fact a is.
QUERIES = [
    *((f"{path}?wait={wait}", "400 query_invalid") for path, wait in once_each(WAITING, WAITS)),
    *(
        (f"{path}?settle={ms}", "400 query_invalid")
        for path, ms in once_each(SETTLED, ("5001", *WAITS[1:]))
    ),
    *(
        (f"{path}?{query}", "400 query_invalid")
        for path in SETTLED
        for query in (
            *("settle=100&max_settle=99", "max_settle=100", "settle=0&max_settle=0"),
            *("settle=100&max_settle=60001", "settle=100&max_settle=-1"),
        )
    ),
    *((f"{path}={cursor}", "400 cursor_invalid") for path, cursor in once_each(CURSORED, CURSORS)),
    *(
        (f"{path}?limit={limit}", "400 query_invalid")
        for path, limit in once_each(PAGED, ("0", "1001", "-1", "many", "", "1.0"), 2)
    ),
    *(
        (f"{path}?{parameter}={place}", "400 path_invalid")
        for parameter, paths in (("marker", PAGED), ("prefix", WATCHED), ("group", GROUPED))
        for path, place in once_each(paths, PLACES)
    ),
    *(
        (f"{path}?project_id={project}", "400 query_invalid")
        for path, project in once_each(("/v1/stacks", "/v1/limits", "/v1/events"), PROJECTS)
    ),
    *((f"STACK/members?declared={word}", "400 query_invalid") for word in WORDS),
    ("STACK/members?declared=a&declared=b", "400 ambiguous"),
    ("STACK/members/m?consistency=strong", "400 query_invalid"),
    ("STACK/members/m?declared=heat:1", "400 query_invalid"),
    *((f"STACK/members?reads={place}", "400 path_invalid") for place in ("..", "a/*", "a/")),
    ("STACK/members/m/read_set?consistency=strong", "400 query_invalid"),
    (f"STACK/context?member=m&read_set={'0' * 31}", "400 query_invalid"),
    (f"STACK/context?member=m&read_set={'0' * 32}", "400 query_invalid"),
    ("STACK/convergence?consistency=", "400 query_invalid"),
    ("STACK/convergence?include_draining=1", "400 query_invalid"),
    ("STACK/turns?consistency=strong", "400 query_invalid"),
    ("STACK/waits?consistency=strong", "400 query_invalid"),
    ("STACK/waits?wait=1", "400 query_invalid"),
    ("STACK/members/m/why?wait=1", "400 query_invalid"),
    ("STACK/grants/g?consistency=strong", "400 query_invalid"),
    ("STACK/facts/a?format=xml", "400 query_invalid"),
    ("STACK/facts/a?format=RAW", "400 query_invalid"),
    ("STACK/facts/a?consistency=strong", "400 query_invalid"),
    ("STACK/context?include=everything", "400 query_invalid"),
    ("STACK/events?types=fact.put,fact.nonsense", "400 query_invalid"),
    ("STACK/events?types=fact.put,", "400 query_invalid"),
    ("STACK/events?types=fact.put%0A", "400 query_invalid"),
    *(
        (f"/v1/events?stacks={stacks}", "400 query_invalid")
        for stacks in ("a/b", "a,", "[a]", ",".join("a" * 33), "a%0A", "x" * 129)
    ),
    *(
        (f"/v1/events?{name}={','.join('a' * 33)}", "400 query_invalid")
        for name in ("prefix", "group")
    ),
    ("/v1/events?prefix=a,,b", "400 path_invalid"),
    ("/v1/events?group=a/b", "400 path_invalid"),
    ("/v1/events?alarm=a/b", "400 path_invalid"),
    ("/v1/events?all_projects=true&project_id=a", "400 query_invalid"),
    ("STACK/events?initial=yes", "400 query_invalid"),
    ("STACK/events?on_gap=ignore", "400 query_invalid"),
    *((f"STACK/context?member={place}", "400 path_invalid") for place in ("..", "a/b", "x" * 129)),
    ("STACK/facts?%ff=1", "400 query_invalid"),
    ("STACK/facts?%", "400 query_invalid"),
    ("STACK/facts?=", "400 query_invalid"),
]
