"""Free memory is returned to the system after the process has grown, and only then."""

from __future__ import annotations

import subprocess
import sys

from factstore.wsgi.ops.memory import GROWTH_BYTES, LARGE_BYTES, FreeMemory, resident_bytes


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


BURST = """
import sys
from factstore.wsgi.ops import memory

if sys.argv[2] == "True":
    memory.return_large_blocks()
large = int(sys.argv[1])
bytearray(large)  # its end changes what glibc does with the next ones
before, blocks, kept = memory.resident_bytes(), [], []
for _ in range(16):
    blocks.append(bytearray(large))
    kept.append(bytearray(2000))  # behind the block
blocks.clear()
print(memory.resident_bytes() - before)
"""


def test_large_blocks_are_returned_at_once_whatever_lies_between_them() -> None:
    grown = []
    for returned in (True, False):
        argv = [sys.executable, "-c", BURST, str(4 * LARGE_BYTES), str(returned)]
        grown.append(int(subprocess.run(argv, capture_output=True, check=True).stdout))
    assert grown[0] < LARGE_BYTES
    assert grown[1] > 32 * LARGE_BYTES  # or the burst proves nothing
