"""Where units of work run: in this process, or spread over processes; results come as they finish."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, ProcessPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib import import_module
from itertools import chain, islice
from typing import Any, TypeVar

import torch

from sigforge.core.errors import UserError

Unit = TypeVar("Unit")
Result = TypeVar("Result")

PR_SET_PDEATHSIG = 1
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
CONNECT_SECONDS = 10
IN_FLIGHT = 64
"""Units handed out and not yet done, at least: enough to keep processes busy, few enough to hold in memory."""


def run_units(
    work: Callable[[Unit], Result], units: Iterable[Unit], *, workers: int = 1, cluster: str | None = None
) -> Iterator[Result]:
    """Yield ``work(unit)`` for every unit as they finish; ``work`` and units must pickle if ``workers`` > 1.

    Every unit computes on one CPU thread: sums in another order would change the last bit, so bytes would depend on the
    machine. Units are taken from ``units`` as they are needed, so a long series is never held as a whole.

    Args:
        work: what is done to a unit.
        units: what there is to do.
        workers: processes on this machine.
        cluster: address of a Dask scheduler, ``tcp://host:port``, or ``local`` for a cluster of ``workers`` processes
            here; its workers must see the same files under the same paths.

    Raises:
        UserError: ``cluster`` is given and Dask is not installed, or nothing answers at that address.

    Example:
        >>> list(run_units(abs, [-2, 1]))
        [2, 1]
    """
    rest = iter(units)
    first = list(islice(rest, 2))
    units = chain(first, rest)
    if cluster and first:
        with _dask(cluster, workers) as (pool, threads):
            yield from map_on(pool, partial(_on_one_thread, work), units, in_flight=4 * threads)
        return
    if workers <= 1 or len(first) <= 1:
        yield from _here(work, units)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_start_worker) as pool:
        yield from map_on(pool, work, units, in_flight=4 * workers)


def map_on(
    pool: Executor, work: Callable[[Unit], Result], units: Iterable[Unit], *, in_flight: int = 0
) -> Iterator[Result]:
    """Yield ``work(unit)`` for every unit as they finish, over any ``concurrent.futures`` executor or a Dask client's.

    Args:
        pool: where units run.
        work: what is done to a unit; an exception in it is raised here, and units that have not begun are cancelled.
        units: what there is to do, taken as it is needed.
        in_flight: units handed out and not yet done; ``IN_FLIGHT`` at least.

    Example:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> with ThreadPoolExecutor(2) as pool:
        ...     sorted(map_on(pool, abs, range(-3, 1)))
        [0, 1, 2, 3]
    """
    units = iter(units)
    running = {pool.submit(work, unit) for unit in islice(units, max(in_flight, IN_FLIGHT))}
    try:
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(work, unit) for unit in islice(units, len(done))}
            for future in done:
                yield future.result()
    finally:
        for future in running:
            future.cancel()


@contextmanager
def _dask(address: str, workers: int) -> Iterator[tuple[Executor, int]]:
    """The executor of a cluster, and how many units it works on at once."""
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise UserError("a cluster needs Dask: pip install 'sigforge[dask]', or leave --cluster out") from error
    local = None
    if address == "local":
        local = distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    try:
        with local or nullcontext(), distributed.Client(local or address, timeout=CONNECT_SECONDS) as client:
            yield client.get_executor(), sum(client.nthreads().values())
    except (OSError, ValueError) as error:
        if isinstance(error, UserError) or local:
            raise
        raise UserError(f"{address}: no Dask scheduler answers ({error}): start one or correct the address") from error


def _on_one_thread(work: Callable[[Unit], Result], unit: Unit) -> Result:
    _one_thread()
    return work(unit)


def die_with_parent() -> None:
    """Ask the kernel to end this process when the one that started it dies; Linux only, nothing happens elsewhere."""
    if prctl := _of_the_c_library("prctl"):
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def keep_freed_memory() -> None:
    """Let the C library keep what is freed for the next image.

    Getting it from the system page by page takes a fifth of a network's time on a CPU, two thirds where feature maps
    are larger than 32 MiB: those the library maps one by one and gives back at once, unless it may map nothing.

    With glibc only; nothing happens elsewhere.
    """
    if mallopt := _of_the_c_library("mallopt"):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def give_back_memory() -> None:
    """Return to the system what is free: between images of many sizes ever more of it would be kept.

    With glibc only; nothing happens elsewhere.
    """
    if trim := _of_the_c_library("malloc_trim"):
        trim(0)


def _of_the_c_library(name: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def _here(work: Callable[[Unit], Result], units: Iterable[Unit]) -> Iterator[Result]:
    threads = torch.get_num_threads()
    try:
        _one_thread()
        for unit in units:
            yield work(unit)
    finally:
        torch.set_num_threads(threads)


def _start_worker() -> None:
    _one_thread()
    # A worker holds both ends of its queue, so it would wait for ever for a parent that was killed.
    die_with_parent()
    parent = multiprocessing.parent_process()
    if parent is None or os.getppid() != parent.pid:
        sys.exit("the process that started this worker is gone")


def _one_thread() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
