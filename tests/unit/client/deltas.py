"""Changes of a context as the service returns them."""

from __future__ import annotations

from typing import Any

from factstore.client.context_copy import ContextCopy


def delta(document: dict[str, Any], cursor: str, **changes: Any) -> dict[str, Any]:
    """Return the answer to a request for the changes of a context.

    :param document: the context before them.
    """
    none = {"facts": {}, "deleted": [], "members": {}, "departed": [], "sensitive": {}}
    found = {**none, **changes}
    copy = ContextCopy(document)
    copy.apply(found)
    return {"since": "e.1", "cursor": cursor, "checksum": copy.checksum, **found}
