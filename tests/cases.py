"""Many cases in one test: all run, and the failure names each one that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Case = Callable[[object], AbstractContextManager[None]]


@contextmanager
def cases() -> Iterator[Case]:
    """Yield a function that runs one case by its name.

    :raises AssertionError: at the end, if assertions failed in cases, or if there was no case.
    """
    __tracebackhide__ = True
    names: set[str] = set()
    failures: list[str] = []

    @contextmanager
    def case(name: object) -> Iterator[None]:
        assert str(name) not in names, f"two cases are named {name}"
        names.add(str(name))
        try:
            yield
        except AssertionError as error:
            failures.append(f"{name}: {error}")
        except BaseException as error:
            error.add_note(f"in the case {name}")
            raise

    yield case
    assert names, "there was no case"
    assert not failures, f"{len(failures)} of {len(names)} cases failed:\n" + "\n".join(failures)
