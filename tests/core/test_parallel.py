"""Units are taken as they are needed, wherever they run, and none is lost."""

import ctypes
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sigforge.core.errors import UserError
from sigforge.core.parallel import IN_FLIGHT, map_on, run_units

ROOT = Path(__file__).parents[2]


def double(number):
    if number == 13:
        raise UserError("13: unlucky")
    return 2 * number


def test_here_one_unit_is_taken_at_a_time():
    taken = []
    results = run_units(double, (taken.append(n) or n for n in range(14, 20)))
    assert next(results) == 28 and len(taken) == 2  # two, to see whether there is more than one
    assert [next(results), next(results)] == [30, 32] and len(taken) == 3


@pytest.mark.parametrize("count", [0, 1, IN_FLIGHT, 5 * IN_FLIGHT])
def test_a_long_series_is_never_held_as_a_whole(count):
    taken, most = [], 0
    with ThreadPoolExecutor(4) as pool:
        results = []
        for result in map_on(pool, double, (taken.append(n) or n for n in range(100, 100 + count))):
            results.append(result)
            most = max(most, len(taken) - len(results))
    assert sorted(results) == [2 * n for n in range(100, 100 + count)]
    assert most <= 2 * IN_FLIGHT


def test_a_mistake_stops_the_rest():
    taken = []
    with ThreadPoolExecutor(1) as pool, pytest.raises(UserError, match="13: unlucky"):
        list(map_on(pool, double, (taken.append(n) or n for n in range(10 * IN_FLIGHT))))
    assert len(taken) < 4 * IN_FLIGHT


MEMORY = """
import resource, sys
from sigforge.core.parallel import give_back_memory, keep_freed_memory

def faults(blocks):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for number in range(blocks):
        bytearray((8 if number % 2 else 100) << 20)[::4096]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1])

before = faults(20)
keep_freed_memory()
faults(2)
after, held = faults(20), resident()
scattered = [bytes(100_000) for _ in range(2000)][::50]
kept = resident()
give_back_memory()
print(before, after, kept - resident())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another C library than glibc")
def test_memory_is_kept_between_images_and_given_back_when_asked():
    told = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    before, after, given_back = map(int, told.split())
    assert after < before / 10, "pages are got anew for every image"
    assert given_back > 10_000, "40 MB of pages between those in use"
