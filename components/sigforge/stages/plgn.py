"""Stage ``plgn``: signal modulators learn to turn fused images back into each source (SigFusion, Eqs. 4-7)."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sigforge.core.seeds import rng_of, seed_of
from sigforge.core.subsets import spread
from sigforge.dataset.corpus import CORPUS, check_cells, corpora, fused_by_all
from sigforge.dataset.tables import Pair, read_pairs
from sigforge.dataset.tasks import modalities
from sigforge.methods.sigfusion.modulator import Condition
from sigforge.methods.sigfusion.plgn import KIND, Plgn
from sigforge.methods.sigfusion.prior import DominancePrior
from sigforge.methods.sigfusion.sigformer import load_sigformer
from sigforge.methods.weights import HISTORY, MODEL, save_weights
from sigforge.stages._base import StageContext, key_of, main, open_folder
from sigforge.stages._trained import train, training_pairs
from sigforge.synthesis.channels import Channel, task_channels
from sigforge.synthesis.dominance_maps import build_prior
from sigforge.synthesis.signal_index import signal_index, write_index
from sigforge.training.crops import CropBatches
from sigforge.training.history import read_history, write_history
from sigforge.training.loop import HistoryRow
from sigforge.training.planes import PlaneCache
from sigforge.training.run import TrainingRun
from sigforge.training.validate import modulation

INDEX = "signals.parquet"

VALIDATED = 40
"""Held-out (pair, model) cells per channel that measure the modulators; all of them would take longer than training."""


@dataclass(frozen=True)
class SignalCell:
    """A fused image, the real source that its modulated version should equal, and the partner of that."""

    fused: Path
    real: str
    partner: str


class ChannelBatches(Dataset):
    """Batches of (fused, real) crops; each step trains one channel, drawn by (names, step)."""

    def __init__(self, crops: Sequence[tuple[str, CropBatches]], names: Sequence[object]) -> None:
        self.crops, self.names = crops, names

    def __getitem__(self, step: int) -> tuple[str, Tensor]:
        """Channel name, planes (2, B, 1, crop, crop); with a condition (4, ...), see :func:`_planes`."""
        name, batches = self.crops[int(rng_of(*self.names, step).integers(len(self.crops)))]
        return name, batches[step][0]


def run(context: StageContext) -> None:
    """Train the modulators of a task on the fused corpora and its real pairs."""
    params, task = context.params, context.task
    manifest = context.folder("ingest") / "pairs.parquet"
    fused = corpora(context.folder("fuse"))
    methods, everything = tuple(getattr(params.fuse, task)), read_pairs(manifest)
    check_cells(context.folder("fuse"), methods, everything)  # a pair may be left out for a recorded failure only
    pairs = fused_by_all(everything, fused)
    training = training_pairs(pairs, task)
    index = signal_index(training, methods, fused, params.sigformer.subbands)
    cache, channels = PlaneCache(), present_channels(task, training)
    crops = [(channel.name, _crops(context, cells(channel, training, fused), channel, cache)) for channel in channels]
    batches = ChannelBatches(crops, (params.seed, "plgn", task, "channel"))
    torch.manual_seed(seed_of(params.seed, "plgn", task))
    sigformer = load_sigformer(context.folder("pretrain") / MODEL, params.sigformer.architecture)
    condition = params.plgn.condition
    prior = None if condition == "none" else build_prior(sigformer, training, cache)
    names = tuple(channel.name for channel in channels)
    plgn = Plgn(sigformer, names, params.plgn.sm, condition=condition, prior=prior)

    def losses(batch: tuple[str, Tensor]) -> dict[str, Tensor]:
        channel, planes = batch
        source, target, *both = planes.to(next(plgn.parameters()).device)
        loss = plgn.loss(source, target, channel, torch.stack(both) if both else None)
        named = {f"{channel}_signal": loss.signal, f"{channel}_pixel": loss.pixel}
        return {"loss": loss.signal + loss.pixel, **named}

    held_out = [pair for pair in pairs if pair.split == "val"] or [pair for pair in pairs if pair.split == "test"]
    inputs = [manifest, *context.folder("fuse").glob(f"*/{CORPUS}"), context.folder("pretrain") / MODEL]
    modulators = TrainingRun(
        plgn,
        batches,
        losses,
        params.plgn,
        kind=KIND,
        architecture=architecture(context, channels, prior),
        validate=lambda: modulation(plgn, _samples(channels, held_out, fused, cache, condition)),
    )
    make = keep if params.plgn.sm == "none" else train
    folder = make(context, modulators, key=key_of(params.seed, params.plgn, files=inputs, code=[context.module]))
    write_index(index, folder / INDEX)
    context.ledger.value("signal_pairs", len(index))
    context.ledger.dataset(f"{task} pairs", manifest)


def keep(context: StageContext, run: TrainingRun, *, key: dict[str, object]) -> Path:
    """What :func:`train` leaves behind, for a network without modulators: there is nothing to train.

    Args:
        context: of the stage.
        run: the network, and the validation errors, which are the whole history.
        key: what it depends on; the folder is emptied if that has changed.

    Returns:
        the folder with model and history.
    """
    folder = open_folder(context.folder(), key)
    if not (folder / HISTORY).exists() or not (folder / MODEL).exists():
        save_weights(folder / MODEL, run.model, kind=run.kind, config=run.architecture)
        write_history([HistoryRow(0, f"val_{name}", value) for name, value in run.validate().items()], folder / HISTORY)
    context.ledger.metrics(read_history(folder / HISTORY))
    context.ledger.file(folder / MODEL, "models")
    return folder


def architecture(context: StageContext, channels: Sequence[Channel], prior: DominancePrior | None) -> dict:
    """What a PLGN file says of itself.

    Args:
        context: of the stage.
        channels: that have modulators.
        prior: of a PLGN with a condition; without one, nothing is said of either, as in older files.

    Returns:
        task, SigFormer, channels, which subbands have modulators, and with a condition its name and the pairs it knows.
    """
    sigformer = context.params.sigformer.architecture.model_dump(mode="json")
    names = [channel.name for channel in channels]
    facts = {"task": context.task, "sigformer": sigformer, "channels": names, "sm": context.params.plgn.sm}
    return facts if prior is None else facts | {"condition": context.params.plgn.condition, "prior": prior.facts()}


def present_channels(task: str, pairs: Sequence[Pair]) -> list[Channel]:
    """Channels of the modalities that these pairs have."""
    seen = {name for pair in pairs for name in modalities(pair.task, pair.subtask)}
    return [channel for channel in task_channels(task) if channel.modality in seen]


def cells(channel: Channel, pairs: Sequence[Pair], fused: dict[str, dict[str, Path]]) -> list[SignalCell]:
    """Every (pair, method) whose pair has the channel's modality.

    Args:
        channel: what a modulator makes.
        pairs: of one split.
        fused: fused images by method, then by pair id.
    """
    return [
        SignalCell(paths[pair.pair_id], *sources)
        for pair in pairs
        for modality, sources in zip(modalities(pair.task, pair.subtask), _both_ways(pair), strict=True)
        if modality == channel.modality
        for paths in fused.values()
    ]


def _both_ways(pair: Pair) -> tuple[tuple[str, str], tuple[str, str]]:
    """Each source's file, and its partner's."""
    return (pair.a_path, pair.b_path), (pair.b_path, pair.a_path)


def _crops(context: StageContext, found: list[SignalCell], channel: Channel, cache: PlaneCache) -> CropBatches:
    config = context.params.plgn

    def load(index: int) -> np.ndarray:
        return np.stack(_planes(found[index], channel, cache, config.condition))

    names = (context.params.seed, "plgn", context.task, channel.name)
    return CropBatches(load, len(found), batch=config.batch, crop=config.crop, turns=context.task != "vif", names=names)


def _samples(channels, pairs, fused, cache, condition) -> Iterator[tuple[str, tuple[np.ndarray, ...]]]:
    for channel in channels:
        for cell in spread(cells(channel, pairs, fused), VALIDATED):
            yield channel.name, _planes(cell, channel, cache, condition)


def _planes(cell: SignalCell, channel: Channel, cache: PlaneCache, condition: Condition) -> tuple[np.ndarray, ...]:
    """What goes into the modulator, what should come out, and with a condition the lumas of source and partner."""
    planes = channel.read({channel.source: cache(cell.fused, channel.source)}), cache(cell.real, channel.target)
    return planes if condition == "none" else (*planes, cache(cell.real), cache(cell.partner))


if __name__ == "__main__":
    sys.exit(main("plgn", run, sections=("sigformer", "plgn", "compute")))
