"""Photographs into shards of synthetic pairs: which are there already, and the others made, by whoever works."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from sigforge.core.parallel import give_back_memory, run_units
from sigforge.core.storage import Place, remove_leftovers
from sigforge.shards.layout import ShardPath, ShardReport, shards_in
from sigforge.shards.pairs import read_samples
from sigforge.shards.verify import SHARD_NAME
from sigforge.shards.writer import finished, write_shard
from sigforge.synthesis.plan import SPLIT, PlannedShard, ShardPlan, shard_path
from sigforge.synthesis.samples import SynthesisRecipe, samples


@dataclass(frozen=True)
class TakenUp:
    """What of an earlier run is kept: good samples of shards with these keys, but for the numbers to be made anew."""

    keys: tuple[Mapping[str, object], ...]
    redone: frozenset[int] = frozenset()


def make_shards(
    shards: ShardPlan,
    *,
    recipe: SynthesisRecipe,
    folder: Place,
    key: Mapping[str, object],
    workers: int = 1,
    retry_failed: bool = False,
    taken_up: TakenUp | None = None,
    cluster: str | None = None,
    on_found: Callable[[ShardReport], None] = lambda report: None,
    on_shard: Callable[[ShardReport], None] = lambda report: None,
) -> list[ShardReport]:
    """Make the shards that are not there yet, over processes or a cluster; the bytes are the same.

    Args:
        shards: the whole plan.
        recipe: what the bytes depend on.
        folder: where shards go; what a killed run left half-written there is removed.
        key: recorded in every done-marker; shards with another key are made again, as are those that the plan has since
            given more samples.
        workers: processes, on a CPU; a GPU wants one.
        retry_failed: also make the failed samples of finished shards again; good ones are copied, checked.
        taken_up: shards of an earlier run whose good samples are kept, though their key is another.
        cluster: see :func:`sigforge.core.parallel.run_units`.
        on_found: called with the done-marker of every shard that is kept as it is, before any is made.
        on_shard: called with that of every shard that was made.

    Returns:
        The done-markers, in the order of the plan.
    """
    remove_leftovers(folder)
    names = [shard_path(index, folder=folder, task=recipe.task).tar.name for index in range(len(shards))]
    done: dict[str, ShardReport] = {}
    pending = []
    for index, report in enumerate(done_markers(shards, recipe.task, folder, key)):
        if report is None or (retry_failed and report.failures > 0):
            pending.append(index)
        else:
            done[names[index]] = report
            on_found(report)
    work = partial(make_shard, recipe=recipe, folder=folder, key=key, taken_up=taken_up)
    units = (shards[index] for index in pending)
    for made in run_units(work, units, workers=1 if recipe.device == "cuda" else workers, cluster=cluster):
        done[made.shard] = made
        on_shard(made)
    return [done[name] for name in names]


def make_shard(
    shard: PlannedShard,
    *,
    recipe: SynthesisRecipe,
    folder: Place,
    key: Mapping[str, object],
    taken_up: TakenUp | None = None,
) -> ShardReport:
    """Synthesise and write one shard; any worker can, with the same bytes.

    Where it lies finished already, with ``key``, its good samples are kept and the others made.

    Args:
        shard: its photographs, and which samples are refused.
        recipe: what the bytes depend on.
        folder: where it goes.
        key: recorded in its done-marker.
        taken_up: see :func:`make_shards`.

    Returns:
        the done-marker, see :func:`sigforge.shards.writer.write_shard`.

    Raises:
        UserError: the disk is full, or the folder of photographs has vanished.
    """
    path = shard_path(shard, folder=folder, task=recipe.task)
    there = any(finished(path, old) for old in (key, *(taken_up.keys if taken_up else ())))
    redone = taken_up.redone if taken_up else frozenset()
    kept = (sample for sample in read_samples(path) if int(sample.key) not in redone) if there else iter(())
    report = write_shard(path, samples(shard, recipe, kept), key)
    give_back_memory()
    return report


def beyond(shards: ShardPlan, *, folder: Place, task: str) -> list[ShardPath]:
    """Finished shards of the task that the plan no longer has: it was made for more photographs or crops once.

    Args:
        shards: the plan of today.
        folder: where shards lie; those of other tasks do not count.
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
    """
    paths = [(path, SHARD_NAME.fullmatch(path.tar.stem)) for path in shards_in(folder)]
    return [path for path, name in paths if name and name[1] == f"{task}-{SPLIT}" and int(name[2]) >= len(shards)]


def done_markers(
    shards: ShardPlan, task: str, folder: Place, key: Mapping[str, object]
) -> Iterator[ShardReport | None]:
    """What the done-marker of every planned shard says.

    Args:
        shards: the plan.
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        folder: where shards lie.
        key: only markers with this key count.

    Yields:
        in the order of the plan, the marker; None where there is none, or one for another number of samples.
    """
    for index, size in enumerate(shards.sizes()):
        report = finished(shard_path(index, folder=folder, task=task), key)
        yield report if report and report.planned == size else None
