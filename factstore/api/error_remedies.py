"""The remedy of each error, for the page of the service and for the documentation.

The detail of an error names the cause in the request; these texts state what any caller can do.
"""

from __future__ import annotations

REMEDIES: dict[str, str] = {
    "invalid": "The request can never succeed; the detail states the cause.",
    "schema": "Correct the field that ``field`` names.",
    "json_invalid": "Send one JSON document in UTF-8, without a byte order mark.",
    "json_too_deep": "Nest a value at most 32 levels deep.",
    "json_value": "Replace NaN, infinity, NUL, lone surrogates and integers beyond 64 bits.",
    "json_duplicate_key": "Use each key of an object only once.",
    "text_invalid": "Send plain text in UTF-8.",
    "path_invalid": "Use a name that matches the grammar; the detail states it.",
    "ttl_invalid": (
        "Send a whole number of seconds: 5 to 2592000 for a fact, 5 to 86400 for a member, 60 to "
        "31622400 for a grant. A fact cannot have both a ``ttl`` and a ``member``."
    ),
    "readers_invalid": (
        "Name groups and members, each once and at most 32, and only for a sensitive fact."
    ),
    "cursor_invalid": "Send a cursor exactly as it was returned.",
    "target_invalid": (
        "Name an ``https`` URL without user and fragment, a queue with ``zaqar``, or the signed "
        "URL of a resource with ``heat-signal``."
    ),
    "etag_invalid": "Send ``*``, or entity tags in quotes.",
    "query_invalid": "Correct the query parameter that ``field`` names.",
    "ambiguous": (
        "Send each query parameter, each token and each header with one value only once, and either "
        "a token or a grant."
    ),
    "header_invalid": "Correct the header that the detail names.",
    "http_invalid": (
        "Use a client library, and check the proxies between the client and the service."
    ),
    "condition_invalid": (
        "Correct the part of the condition that ``field`` names, such as ``success.all.1.count``."
    ),
    "plan_invalid": "Send the ``plan`` that the dry run returned, unchanged.",
    "batch_empty": "Send at least one operation.",
    "batch_duplicate_path": "Use each path only once in the operations of a batch.",
    "unauthorized": (
        "Send a valid Keystone token in ``X-Auth-Token``, or a valid grant in ``Authorization``."
    ),
    "forbidden": (
        "Use a role that the policy rule allows. With a grant, access only its own stack and "
        "member."
    ),
    "parameter_protected": "Put a fact of another kind, or ask an owner of the stack.",
    "project_required": "Use a token for a project, not for a domain or the system.",
    "quota_exceeded": (
        "Delete something, or ask an operator for more. ``quota`` names the quota; ``limit`` and "
        "``used`` are its numbers."
    ),
    "challenge_wrong": "Send the one that the target of the subscription received.",
    "not_loopback": "Send the request from the machine that the service runs on.",
    "not_found": "The resource or its stack does not exist in the caller's project.",
    "method_not_allowed": "Use one of the methods in ``Allow``.",
    "not_acceptable": "Accept a type that is served here; request the raw form only for scalars.",
    "microversion_unsupported": "Request a version from ``min_version`` to ``max_version``.",
    "request_timeout": "Send it again on a new connection.",
    "conflict": "Read the detail, which states the conflict.",
    "path_is_folder": (
        "Use another path, or delete the facts below it; ``conflicts_with`` is the first of them."
    ),
    "path_below_fact": "Use another path, or delete the fact at ``conflicts_with``.",
    "generation_stale": (
        "If the member is still needed, join again; ``generation`` is the one that has ended."
    ),
    "member_ttl_fixed": "Send the same ``ttl``, or join without a generation.",
    "member_declared": (
        "Read ``declared``, which is the value that ``member`` is declared with, or null. Use "
        "another name, or let that member depart first."
    ),
    "member_missing": (
        "Join first. A fact cannot be bound to a declared member that has not joined, such a "
        "member cannot take a turn, and no action can be run on it. ``member`` and ``path`` name "
        "the member and the fact."
    ),
    "member_full": (
        "Bind at most 500 facts to a member; ``path`` is the first fact above the limit."
    ),
    "rank_missing": (
        "The member's turn in the queue was taken without a rank and does not get one later. Give"
        " the turn back, and take another one. ``member`` names the member."
    ),
    "configuration_circle": (
        "Remove one of the dependencies. ``circle`` contains the configurations in the order in "
        "which each depends on the next one, beginning and ending with the one in the request."
    ),
    "configuration_changed": "Read the configuration again, and run it. ``id`` is its present id.",
    "configuration_ended": (
        "A result is not changed: to run the configuration again, change its definition. "
        "``state`` is its state."
    ),
    "action_ended": (
        "An action that has ended cannot be cancelled. An agent ends a hook that still runs, and "
        "reports that it failed. ``state`` is the state of the run or of the action."
    ),
    "action_waiting": (
        "As many members as may run at the same time run the action. Wait until the member's run "
        "is ``due``."
    ),
    "subscription_pending": (
        "Let the target answer the challenge, or send the challenge that it received."
    ),
    "idempotency_key_reused": (
        "Use a new key for each request, and repeat a key only with the same request."
    ),
    "plan_mismatch": (
        "Send the same operations, guards and generation as in the dry run, to the same stack."
    ),
    "cursor_expired": "List, or read the context; then watch from the cursor in that response.",
    "precondition_failed": (
        "Read the resource again and decide again. ``etag`` is the current tag, ``path`` the path"
        " that it belongs to."
    ),
    "plan_outdated": (
        "Make a new plan with ``dry_run=true``, and decide again. ``moved`` lists what has "
        "changed: ``facts``, ``waiters``, ``alarms``, ``members``."
    ),
    "too_large": "Send at most 1 MiB.",
    "value_too_large": "Send a value of at most 64 KiB.",
    "batch_too_large": "Send at most 100 guards and operations, and 1 MiB of values and paths.",
    "url_too_long": "Send a request line of at most 8190 bytes.",
    "media_type": (
        "Send ``application/json``, or plain text where it is allowed, and never compressed."
    ),
    "rate_limited": "Send fewer requests. Repeat this one after ``Retry-After`` seconds.",
    "too_many_streams": (
        "The project has reached its limit of open streams. Close some, or share one."
    ),
    "too_many_waiting": (
        "Send the request without ``wait``, or reduce the number of waiting requests."
    ),
    "headers_too_large": "Send at most 100 headers of at most 8190 bytes each.",
    "internal_error": "Report it; the log of the service names the cause beside the request id.",
    "store_unavailable": "Try again after ``Retry-After`` seconds. Nothing was written.",
    "storage_full": (
        "It accepts only deletions. Delete what is not needed; an operator must then compact and "
        "defragment etcd, and disarm its alarm. Nothing was written."
    ),
    "sealing_unavailable": (
        "Ask the operator to create sealing keys. Facts that are not sensitive are accepted."
    ),
    "seal_broken": "Ask the operator to restore the key, or put the fact again.",
    "contention": (
        "Until the time limit, other writes of the same data were ahead of this one. Writes of "
        "other data never cause this error. Try again. Nothing was written."
    ),
    "deletion_unfinished": "The deletion of the subscription has begun. Repeat the request.",
    "worker_busy": (
        "They are requests with ``wait`` or ``settle``, streams and delayed requests. The rest of"
        " its capacity is kept for other requests. Try again after ``Retry-After`` seconds, or "
        "send the request without ``wait`` and ``settle``. Nothing was written."
    ),
    "identity_unavailable": "Keystone could not validate the token. Try again.",
    "outcome_unknown": (
        "The write may have happened. Repeat it, preferably with its ``Idempotency-Key``."
    ),
}
"""By code, without the service type. Literals are in double backquotes."""
