"""The context of one stack: reading it whole, and keeping a copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import overload

from factstore.client.history import PastFacts
from factstore.client.mirror import Mirror
from factstore.client.query import BOTH, context_params, settle_params
from factstore.client.records import Context
from factstore.client.transport import parsed


class Contexts(PastFacts):
    """Operations on a stack's context; a base of :class:`~factstore.client.stack.Stack`."""

    @overload
    def context(
        self,
        *,
        member: str | None = None,
        view: str = BOTH,
        results: bool = False,
        if_none_match: None = None,
        wait: float = 0,
        settle: float = 0,
        max_settle: float | None = None,
    ) -> Context: ...

    @overload
    def context(
        self,
        *,
        member: str | None = None,
        view: str = BOTH,
        results: bool = False,
        if_none_match: str,
        wait: float = 0,
        settle: float = 0,
        max_settle: float | None = None,
    ) -> Context | None: ...

    def context(
        self,
        *,
        member: str | None = None,
        view: str = BOTH,
        results: bool = False,
        if_none_match: str | None = None,
        wait: float = 0,
        settle: float = 0,
        max_settle: float | None = None,
    ) -> Context | None:
        """Read the whole stack as one document.

        :param member: include this member as ``self`` and the others as ``peers``.
        :param view: which of them to include: ``self``, ``peers``, ``self,peers`` or ``none``.
        :param results: include the facts below ``results/``.
        :param if_none_match: the etag that the caller already knows.
        :param wait: seconds, 0 to 50, for which the request waits until the stack exists or, with
            *if_none_match*, the etag differs.
        :param settle: seconds, 0 to 5, for which the stack must be quiet before a changed context is
            returned.
        :param max_settle: the longest time to wait for that, in seconds; None for ten times *settle*.
        :return: the context; None if it still has the etag *if_none_match*.
        :raises NotFound: the stack or the member does not exist.
        """
        params = context_params(member, view, results=results) | settle_params(settle, max_settle)
        response = self._read(f"{self._url}/context", params, if_none_match, wait)
        if response.status_code == 304:
            return None
        return parsed(response, lambda found: Context.parse(found, response.headers))

    def mirror(
        self,
        *,
        member: str | None = None,
        view: str = BOTH,
        results: bool = False,
        settle: float = 0,
        max_settle: float | None = None,
        known: Context | None = None,
        on_change: Callable[[Context, Context | None], object] = lambda new, old: None,
        retry_for: float | None = None,
        first_settles: bool = False,
    ) -> Mirror:
        """Return a copy of the context that follows the service; see :class:`Mirror`.

        No request is sent.  The parameters not listed are those of :meth:`context`.

        :param known: a context of an earlier mirror with the same view, to continue from.
        :param on_change: called with each new context and the one before, which is None at first.
        :param retry_for: seconds without the service after which :meth:`Mirror.follow` raises
            Unavailable; None to retry forever.
        :param first_settles: True to settle before the first context, too: for a reader that starts
            together with many others, and would act on a part of what they publish.
        """
        url, settling = f"{self._url}/context", settle_params(settle, max_settle)
        return Mirror(
            self._transport,
            url,
            settling,
            member=member,
            view=view,
            results=results,
            known=known,
            on_change=on_change,
            retry_for=retry_for,
            first_settles=first_settles,
        )
