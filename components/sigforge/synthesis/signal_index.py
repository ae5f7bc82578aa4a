"""The training set of PLGN: exactly 2 x M x N x Z pairs of signals (SigFusion, section "Training" of PLGN)."""

from collections.abc import Container, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from sigforge.core.errors import UserError
from sigforge.core.files import atomic_path
from sigforge.core.parquet import write_parquet
from sigforge.dataset.tables import Pair
from sigforge.dataset.tasks import modalities

SCHEMA = pa.schema([(name, pa.string()) for name in ("pair_id", "model", "modality", "subband")])


def signal_index(
    pairs: Sequence[Pair], methods: Sequence[str], corpora: Mapping[str, Container[str]], subbands: Sequence[str]
) -> pa.Table:
    """Every (pair, model, modality, subband): signals of the fused image in, of the real source as target.

    Args:
        pairs: the M training pairs.
        methods: the N fusion methods that are configured; they, not what is there, decide the count.
        corpora: per method the ids of the pairs it has fused.
        subbands: the Z names.

    Raises:
        UserError: a fused image is missing, naming the first (pair, method) cell without one; a corpus that no
            configured method made; pair ids that repeat.
    """
    if foreign := sorted(set(corpora) - set(methods)):
        raise UserError(f"signal index: corpus '{foreign[0]}' is of no configured method; run the stage 'fuse' again")
    rows = []
    for pair in pairs:
        for model in methods:
            if pair.pair_id not in corpora.get(model, ()):
                raise UserError(
                    f"signal index: model '{model}' has no fused image of pair '{pair.pair_id}'; run "
                    f"'dvc repro fuse@{pair.task}'"
                )
            for modality in modalities(pair.task, pair.subtask):
                rows += [(pair.pair_id, model, modality, subband) for subband in subbands]
    expected = 2 * len(pairs) * len(methods) * len(subbands)
    if len(rows) != expected or len(set(rows)) != expected:
        raise UserError(
            f"signal index: {len(set(rows))} distinct rows, not 2 x M x N x Z = {expected}; pair ids repeat"
        )
    columns = zip(*rows, strict=True) if rows else ((),) * 4
    return pa.table(dict(zip(SCHEMA.names, map(list, columns), strict=True)), schema=SCHEMA)


def write_index(table: pa.Table, path: Path) -> None:
    """Write the index as Parquet, complete or not at all."""
    with atomic_path(path) as temporary:
        write_parquet(table, temporary, compression="zstd")
