"""Units are taken as they are needed, wherever they run, and none is lost."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from components.errors import UserError
from components.runner import IN_FLIGHT, map_on, run_units


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
