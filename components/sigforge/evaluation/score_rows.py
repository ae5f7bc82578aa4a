"""The table ``metrics.parquet`` of stage ``evaluate``: one row per pair, method and metric."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from sigforge.core.files import atomic_path
from sigforge.core.parquet import read_table, write_parquet

SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("pair_id", "subtask", "method", "metric")] + [("value", pa.float64())]
)


@dataclass(frozen=True)
class ScoreRow:
    """What one metric says of one method's image of one pair; NaN where it is undefined."""

    pair_id: str
    subtask: str
    method: str
    metric: str
    value: float


def read_scores(path: Path) -> list[ScoreRow]:
    """The rows of a file, in its order.

    Raises:
        UserError: no such file, or not a Parquet table.
    """
    return [ScoreRow(**row) for row in read_table(path).to_pylist()]


def write_scores(path: Path, rows: Iterable[ScoreRow], facts: Mapping[bytes, str] | None = None) -> None:
    """Write rows as Parquet, whole or not at all.

    Args:
        path: of the file.
        rows: in the order in which they are to stand.
        facts: become the key-value metadata of the file.
    """
    schema = SCHEMA.with_metadata(facts) if facts else SCHEMA
    with atomic_path(path) as temporary:
        write_parquet(pa.Table.from_pylist([asdict(row) for row in rows], schema=schema), temporary)
