"""A soak finds what grows, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.soak.plot import plot
from tests.soak.samples import Sample, growth

FLAT = [Sample(float(at), 100.0, 30, 50.0, 0.02, 0.1) for at in range(24)]


def test_a_service_that_stays_as_it_is_passes() -> None:
    assert growth(FLAT) == []
    # The history fills, and a busy machine delays a few events.
    filling = [replace(each, mib=50 + min(each.at, 8) * 6) for each in FLAT]
    filling[20] = replace(filling[20], lag=9.0)
    assert growth(filling) == []


@pytest.mark.parametrize(("name", "step"), [("mib", 4.0), ("files", 2), ("lag", 0.03)])
def test_each_number_that_grows_all_the_time_is_found(name: str, step: float) -> None:
    growing = [
        replace(each, **{name: getattr(each, name) + number * step})
        for number, each in enumerate(FLAT)
    ]
    (found,) = growth(growing)
    assert found.startswith(name)


def test_the_plot_has_a_panel_for_each_number() -> None:
    image = plot("Soak", {"a & b": [(1.0, 2.0), (2.0, 4.0)], "c": [(1.0, 0.0), (2.0, 0.0)]})
    assert image.count("<polyline") == 2
    assert "a &amp; b, at most 4.0" in image
