"""What a training run logged, as a file beside its model."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from sigforge.core.files import atomic_path
from sigforge.core.parquet import read_table, write_parquet
from sigforge.training.loop import HistoryRow

SCHEMA = pa.schema([("step", pa.int64()), ("name", pa.string()), ("value", pa.float64())])


def write_history(history: list[HistoryRow], path: Path) -> None:
    """Rows (step, name, value) as Parquet; written last, so it marks a finished training."""
    columns = {name: [getattr(row, name) for row in history] for name in SCHEMA.names}
    with atomic_path(path) as temporary:
        write_parquet(pa.table(columns, schema=SCHEMA), temporary)


def read_history(path: Path) -> list[HistoryRow]:
    """The rows that :func:`write_history` wrote."""
    return [HistoryRow(**row) for row in read_table(path).to_pylist()]


def validation(history: Sequence[HistoryRow]) -> list[tuple[str, float]]:
    """(name, value) of what was measured after training."""
    return [(row.name.removeprefix("val_"), row.value) for row in history if row.name.startswith("val_")]
