"""Preconditions on a resource."""

from __future__ import annotations

import pytest

from factstore.core.errors import PreconditionFailed
from factstore.core.model.precondition import ABSENT, ANY, EXISTS, Precondition
from tests.unit.core.factories import EPOCH, fact

OTHER_EPOCH = EPOCH[::-1]
ETAG = fact("p", 1, 7).etag(EPOCH)


def tagged(*tags: str) -> Precondition:
    return Precondition(tags=frozenset(tags))


@pytest.mark.parametrize(
    ("precondition", "there", "missing"),
    [
        (ANY, True, True),
        (EXISTS, True, False),
        (ABSENT, False, True),
        (tagged(ETAG), True, False),
        (tagged("x", ETAG), True, False),
        (tagged(f"{EPOCH}.6"), False, False),
        (tagged(f"{EPOCH}.70"), False, False),
        (tagged(fact("p", 1, 7).etag(OTHER_EPOCH)), False, False),
        (tagged(), False, False),
        (Precondition(tags=frozenset({ETAG}), exists=True), True, False),
        (Precondition(tags=frozenset({"x"}), exists=True), False, False),
    ],
)
def test_a_precondition_is_met_as_specified(
    precondition: Precondition, there: bool, missing: bool
) -> None:
    for known, holds in ((ETAG, there), (None, missing)):
        if holds:
            precondition.check("fact 'p'", known)
        else:
            with pytest.raises(PreconditionFailed):
                precondition.check("fact 'p'", known)


def test_a_failed_precondition_reports_the_current_etag() -> None:
    with pytest.raises(PreconditionFailed) as failed:
        ABSENT.check("fact 'p'", ETAG, path="p")
    assert failed.value.extra == {"path": "p", "etag": ETAG}
    assert ETAG in failed.value.detail


def test_a_failed_precondition_reports_that_the_fact_is_missing() -> None:
    with pytest.raises(PreconditionFailed) as failed:
        tagged(ETAG).check("fact 'p'", None, path="p")
    assert failed.value.extra == {"path": "p", "etag": None}
