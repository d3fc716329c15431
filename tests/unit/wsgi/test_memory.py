"""Free memory is returned to the system after the process has grown, and only then."""

from __future__ import annotations

from factstore.wsgi.ops.memory import GROWTH_BYTES, FreeMemory, resident_bytes


def test_memory_is_given_back_after_growth() -> None:
    trimmed: list[int] = []
    resident = 100 * GROWTH_BYTES

    def trim() -> None:
        nonlocal resident
        trimmed.append(resident)
        resident -= GROWTH_BYTES

    memory = FreeMemory(lambda: resident, trim)
    for grown, times in (
        (0, 1),
        (0, 2),  # once more: the burst may have gone on
        (GROWTH_BYTES, 2),
        (1, 3),
        (0, 4),
        (-GROWTH_BYTES, 4),
        (GROWTH_BYTES + 1, 5),
    ):
        resident += grown
        memory.give_back()
        assert len(trimmed) == times


def test_the_memory_of_this_process_falls() -> None:
    FreeMemory().give_back()
    blocks = [bytes(2000) for _ in range(50_000)]
    kept = blocks[::500]
    before = resident_bytes()
    del blocks
    FreeMemory().give_back()
    assert resident_bytes() < before - 50_000 * 2000 // 2
    assert kept
