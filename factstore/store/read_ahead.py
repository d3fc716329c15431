"""Reading the next page while the present one is being used."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def read_ahead(pages: Iterable[T]) -> Iterator[T]:
    """Yield all items; the next one is read in another thread, while the caller uses the last one."""
    source = iter(pages)

    def read() -> list[T]:
        return list(islice(source, 1))

    with ThreadPoolExecutor(1, thread_name_prefix="read_ahead") as pool:
        coming = pool.submit(read)
        while found := coming.result():
            coming = pool.submit(read)
            time.sleep(0)  # a greenlet begins to read only when this one waits
            yield found[0]
