"""Scores of fused images, kept per method, so that only a method whose images changed is measured again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from sigforge.core.colour import luma
from sigforge.core.files import atomic_path, hash_of, sha256_file
from sigforge.core.images import read_image
from sigforge.core.parallel import run_units
from sigforge.core.parquet import read_table
from sigforge.core.progress import Progress
from sigforge.core.provenance import code_hash
from sigforge.dataset.tables import Pair
from sigforge.metrics import Metric, score

SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("pair_id", "subtask", "method", "metric")] + [("value", pa.float64())]
)
FOLDER = "scores"
MANY = 100
"""Images for which starting worker processes pays."""

_MADE_FROM = b"made_from"

Row = dict[str, object]
Fused = Mapping[str, Path]
"""Pair id to fused image."""


def score_methods(
    folder: Path,
    fused: Mapping[str, Fused],
    pairs: Sequence[Pair],
    metrics: Sequence[Metric],
    *,
    workers: int = 1,
    bar: Progress,
) -> list[Row]:
    """Rows of :data:`SCHEMA` for every method, pair and metric, sorted.

    Args:
        folder: keeps ``scores/<method>.parquet``; those of other methods, and those of other images, are removed.
        fused: method to its images.
        pairs: what to score.
        metrics: by which, in the order of their columns.
        workers: processes.
        bar: is told of every image, measured or kept.
    """
    kept = folder / FOLDER
    kept.mkdir(parents=True, exist_ok=True)
    for stale in kept.glob("*.parquet"):
        if stale.stem not in fused:
            stale.unlink()
    code = code_hash(*(metric.module for metric in metrics))
    rows: list[Row] = []
    pending: dict[str, str] = {}
    for method, images in fused.items():
        made_from = _made_from(images, pairs, metrics, code)
        if (found := _read(kept / f"{method}.parquet", made_from)) is None:
            pending[method] = made_from
            continue
        rows += found
        bar.find(len(pairs))
    for method, measured in _measure(pending, fused, pairs, metrics, workers, bar):
        _write(kept / f"{method}.parquet", measured, SCHEMA.with_metadata({_MADE_FROM: pending[method]}))
        rows += measured
    return _sorted(rows)


def score_image(unit: tuple[Pair, str, Path], *, metrics: Sequence[Metric]) -> list[Row]:
    """All metrics of one fused image, on luma of the final 8-bit files."""
    pair, method, path = unit
    planes = [_grey(source) for source in (path, pair.a_path, pair.b_path)]
    values = score(*planes, metrics=metrics)
    facts = {"pair_id": pair.pair_id, "subtask": pair.subtask, "method": method}
    return [facts | {"metric": name, "value": float(value[0])} for name, value in values.items()]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """A table of scores as Parquet."""
    _write(path, rows, SCHEMA)


def _measure(
    pending: Mapping[str, str],
    fused: Mapping[str, Fused],
    pairs: Sequence[Pair],
    metrics: Sequence[Metric],
    workers: int,
    bar: Progress,
) -> Iterator[tuple[str, list[Row]]]:
    """Method by method, as each is complete."""
    units = [(pair, method, fused[method][pair.pair_id]) for method in pending for pair in pairs]
    work = partial(score_image, metrics=metrics)
    measured: dict[str, list[list[Row]]] = {method: [] for method in pending}
    for found in run_units(work, units, workers=workers if len(units) > MANY else 1):
        method = str(found[0]["method"])
        measured[method].append(found)
        bar.advance()
        if len(measured[method]) == len(pairs):
            yield method, _sorted(row for one in measured.pop(method) for row in one)


def _sorted(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: tuple(row[name] for name in ("method", "metric", "pair_id")))


def _made_from(images: Fused, pairs: Sequence[Pair], metrics: Sequence[Metric], code: str) -> str:
    facts = [[pair.pair_id, pair.a_sha256, pair.b_sha256, sha256_file(images[pair.pair_id])] for pair in pairs]
    return hash_of([facts, [metric.name for metric in metrics], code])


def _read(path: Path, made_from: str) -> list[Row] | None:
    if not path.exists():
        return None
    table = read_table(path)
    return table.to_pylist() if table.schema.metadata.get(_MADE_FROM) == made_from.encode() else None


def _write(path: Path, rows: Sequence[Row], schema: pa.Schema) -> None:
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), temporary)


def _grey(path: Path | str) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(luma(read_image(path)[0]), dtype=np.float32))[None, None]
