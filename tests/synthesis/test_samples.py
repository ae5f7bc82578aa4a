"""Reading ahead and encoding behind, by the threads beside the network."""

import threading
from concurrent.futures import ThreadPoolExecutor

from sigforge.synthesis.samples import AHEAD, _blocks, _threaded


def test_blocks_are_cut_by_number_wherever_they_begin():
    assert list(_blocks(((n, n) for n in range(5, 14)), 4)) == [[5, 6, 7], [8, 9, 10, 11], [12, 13]]


def test_work_runs_ahead_but_not_far():
    taken, begun = [], threading.Semaphore(0)

    def blocks():
        for n in range(10):
            taken.append(n)
            yield [n, n]

    def work(n):
        begun.release()
        return 10 * n

    with ThreadPoolExecutor(2) as pool:
        results = _threaded(pool, work, blocks())
        assert next(results) == [0, 0] and taken == list(range(AHEAD + 1))
        assert all(begun.acquire(timeout=10) for _ in range(2 * (AHEAD + 1)))
        assert list(results) == [[10 * n] * 2 for n in range(1, 10)]


def test_the_last_stage_overlaps_with_the_first():
    """A block is being encoded while the next is read: neither could end without the other."""
    meeting = threading.Barrier(2, timeout=10)
    with ThreadPoolExecutor(2) as pool:
        read = _threaded(
            pool, lambda n: meeting.wait() * 0 + n if n == AHEAD + 1 else n, ([n] for n in range(AHEAD + 2))
        )
        encoded = _threaded(pool, lambda n: meeting.wait() * 0 + n if n == 0 else n, read)
        assert [block[0] for block in encoded] == list(range(AHEAD + 2))
