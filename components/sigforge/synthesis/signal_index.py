"""The training set of PLGN: exactly 2 x M x N x Z pairs of signals (SigFusion, section "Training" of PLGN)."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sigforge.core.errors import UserError
from sigforge.core.files import atomic_path
from sigforge.dataset.tables import Pair
from sigforge.dataset.tasks import modalities

SCHEMA = pa.schema([(name, pa.string()) for name in ("pair_id", "model", "modality", "subband")])


def signal_index(pairs: Sequence[Pair], corpora: dict[str, set[str]], subbands: Sequence[str]) -> pa.Table:
    """Every (pair, model, modality, subband): signals of the fused image in, of the real source as target.

    Args:
        pairs: the M training pairs.
        corpora: per fusion model (N of them) the ids of the pairs it has fused.
        subbands: the Z names.

    Raises:
        UserError: a fused image is missing; names the first (pair, model) cell without one.
    """
    rows = []
    for pair in pairs:
        for model, fused in corpora.items():
            if pair.pair_id not in fused:
                raise UserError(
                    f"signal index: model '{model}' has no fused image of pair '{pair.pair_id}'; run "
                    f"'dvc repro fuse@{pair.task}'"
                )
            for modality in modalities(pair.task, pair.subtask):
                rows += [(pair.pair_id, model, modality, subband) for subband in subbands]
    expected = 2 * len(pairs) * len(corpora) * len(subbands)
    if len(rows) != expected or len(set(rows)) != expected:
        raise UserError(
            f"signal index: {len(set(rows))} distinct rows, not 2 x M x N x Z = {expected}; pair ids repeat"
        )
    columns = zip(*rows, strict=True) if rows else ((),) * 4
    return pa.table(dict(zip(SCHEMA.names, map(list, columns), strict=True)), schema=SCHEMA)


def write_index(table: pa.Table, path: Path) -> None:
    """Write the index as Parquet, complete or not at all."""
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
