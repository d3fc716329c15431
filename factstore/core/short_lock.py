"""The lock of sections that are short and in which nothing waits.

A worker serves its requests in greenlets of one thread, and a greenlet makes way for another one only
where it waits.  There such sections exclude one another by themselves, and the lock that gevent puts in
the place of :class:`threading.Lock` would cost a request more than most of these sections.  A lock of
threads, which costs a fifth of that, keeps them apart where there are several threads.
"""

from __future__ import annotations

from _thread import RLock as ShortLock  # gevent replaces threading's, and leaves this one alone

__all__ = ["ShortLock"]
