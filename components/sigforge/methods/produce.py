"""How each kind of method makes a corpus: classical ones in processes, networks on a device, external ones their way.

A pair that cannot be fused becomes a :class:`~sigforge.dataset.corpus.CorpusFailure` and the others go on.
"""

import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sigforge.core.errors import ImageError, UserError
from sigforge.core.files import hash_of, sha256_file
from sigforge.core.images import read_image, write_image
from sigforge.core.parallel import run_units
from sigforge.core.provenance import code_hash
from sigforge.dataset.corpus import CorpusEntry, CorpusFailure, image_path
from sigforge.dataset.tables import Pair
from sigforge.dataset.tasks import OURS
from sigforge.methods.apply import LumaFusion, fuse_batch, fuse_files
from sigforge.methods.external.command import LOG, CommandRun, command_files, run_command
from sigforge.methods.external.folder import FusedFolder
from sigforge.methods.external.model import load_model_file
from sigforge.methods.external.options import (
    KEY,
    CommandOptions,
    ExternalOptions,
    ModelOptions,
    external_method,
    parse_external,
)
from sigforge.methods.published.method import PublishedMethod
from sigforge.methods.registry import FusionMethod, get_method
from sigforge.methods.systems.method import is_system

CHUNK = 16
GPU_BATCH = 8
"""Pairs of one size that a network fuses together on a GPU. On a CPU it takes one at a time, so that bytes do not
depend on which pairs happened to be missing."""

CorpusResult = CorpusEntry | CorpusFailure
PairFusion = Callable[[Pair], np.ndarray]


@dataclass(frozen=True)
class CorpusCompute:
    """Where methods run: ``cpu`` or ``cuda`` for networks, processes for the others; and what configured paths mean."""

    device: str = "cpu"
    workers: int = 1
    resolve: Callable[[str], Path] = Path


@dataclass(frozen=True)
class CorpusWriter:
    """Where the images of one corpus are put, and the hash of what made them."""

    folder: Path
    mark: str

    def fuse_and_store(self, pair: Pair, fuse: PairFusion, inputs: tuple[str, ...] = ()) -> CorpusResult:
        """Make the image of a pair and put it down, or say why not.

        Args:
            pair: whose image is made.
            fuse: a pair to its fused image, (H, W) or (H, W, 3) in [0, 1]; what it raises becomes a recorded failure.
            inputs: hashes of what the image depends on beside the pair and the method.

        Raises:
            UserError: the image cannot be written; that would go wrong for all pairs.
        """
        started = time.perf_counter()
        try:
            image = fuse(pair)
        except Exception as error:
            return _failure(pair, error)
        return self.store(pair, image, time.perf_counter() - started, inputs)

    def store(self, pair: Pair, image: np.ndarray, seconds: float, inputs: tuple[str, ...] = ()) -> CorpusEntry:
        """Write an image; what goes wrong here, goes wrong for all.

        Args:
            pair: whose image it is.
            image: (H, W) or (H, W, 3) in [0, 1].
            seconds: that it took to make.
            inputs: hashes of what the image depends on beside the pair and the method.

        Returns:
            the row of the corpus.
        """
        path = image_path(self.folder, pair.pair_id)
        write_image(path, image)
        return CorpusEntry(
            pair.pair_id, sha256_file(path), pair_inputs_hash(pair, inputs), round(seconds, 4), self.mark
        )


@dataclass(frozen=True)
class CorpusRecipe:
    """How one corpus is made.

    Args:
        identity: what decides every image of it; another identity is another corpus.
        make: fuses pairs and yields what became of them, a few at a time.
        inputs: per pair, hashes of what decides its image beside its sources.
    """

    identity: dict[str, object]
    make: Callable[[list[Pair]], Iterator[list[CorpusResult]]]
    inputs: Callable[[Pair], tuple[str, ...]] = lambda pair: ()


def configured(name: str, options: dict[str, object], task: str) -> FusionMethod:
    """The facts of a method as ``fuse.<task>.<name>`` of params.yaml gives it; its options are checked.

    Args:
        name: of a registered method; with an ``external`` option, any name that is free.
        options: by name, of the method or of the external source.
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.

    Raises:
        UserError: no such method, options that do not fit, or a method that is not meant for the task.

    Example:
        >>> configured("gff", {"r1": 31}, "vif").year
        2013
        >>> configured("cnn", {"external": "folder", "path": "fused/cnn"}, "mfif").kind
        'external'
    """
    if is_system(name):
        raise UserError(f"'{name}' is trained here: name it under 'systems.{task}', or give this method another name")
    if KEY in options:
        return external_method(name, options)
    method = get_method(name)
    if name == OURS:
        raise UserError(f"'{name}' is trained on what this stage fuses; remove it")
    if task not in method.tasks:
        raise UserError(f"'{name}' serves {', '.join(method.tasks)} only; remove it")
    method.check_options(options)
    return method


def corpus_recipe(
    folder: Path, name: str, options: dict[str, Any], task: str, pairs: Sequence[Pair], compute: CorpusCompute
) -> CorpusRecipe:
    """How ``fuse.<task>.<name>`` of params.yaml makes its corpus.

    Args:
        folder: where the corpus lies.
        name: of the method.
        options: what stands under it.
        task: of the pairs.
        pairs: all of the task.
        compute: where it runs.

    Raises:
        UserError: the method cannot be used: unknown, bad options, weights or files that are not there.
    """
    method = configured(name, options, task)
    identity: dict[str, object] = {"method": name, "options": hash_of(options)}
    if KEY in options:
        return _external(folder, identity | {"code": _code()}, parse_external(name, options), pairs, compute)
    if isinstance(method, PublishedMethod):
        identity |= {"code": _code(method.module), "weights": method.weights_for(task).sha256}
        fuse = partial(method.ready(task, device=compute.device).fuse, **options)
        return _on_device(folder, identity, fuse, compute)
    identity |= {"code": _code(method.module)}
    work = partial(_fuse_chunk, method=method, options=options, writer=CorpusWriter(folder, hash_of(identity)))
    return CorpusRecipe(identity, partial(_fuse_in_processes, work=work, workers=compute.workers))


def _external(
    folder: Path, identity: dict[str, object], options: ExternalOptions, pairs: Sequence[Pair], compute: CorpusCompute
) -> CorpusRecipe:
    if isinstance(options, CommandOptions):
        identity |= {"files": command_files(options.command)}
        return CorpusRecipe(
            identity, partial(_fuse_by_command, options=options, writer=CorpusWriter(folder, hash_of(identity)))
        )
    path = compute.resolve(options.path)
    if isinstance(options, ModelOptions):
        fuse = load_model_file(path, device=compute.device)
        return _on_device(folder, identity | {"weights": sha256_file(path)}, fuse, compute)
    images = FusedFolder(path, pairs)
    if images.unused:
        print(f"{path}: {len(images.unused)} images belong to no pair, e.g. {images.unused[0]}", file=sys.stderr)
    return CorpusRecipe(
        identity, partial(_take, images=images, writer=CorpusWriter(folder, hash_of(identity))), images.hashes
    )


def _on_device(folder: Path, identity: dict[str, object], fuse: LumaFusion, compute: CorpusCompute) -> CorpusRecipe:
    identity = identity | {
        "device": compute.device
    }  # a corpus begun on a CPU is not ended on a GPU, whose last digits differ
    make = partial(_fuse_on_device, fuse=fuse, device=compute.device, writer=CorpusWriter(folder, hash_of(identity)))
    return CorpusRecipe(identity, make)


def _fuse_in_processes(pairs: list[Pair], *, work: Callable, workers: int) -> Iterator[list[CorpusResult]]:
    yield from run_units(work, _chunks(pairs, CHUNK), workers=workers if len(pairs) > 4 * CHUNK else 1)


def _fuse_chunk(
    pairs: Sequence[Pair], *, method: FusionMethod, options: dict, writer: CorpusWriter
) -> list[CorpusResult]:
    fuse = partial(method.fuse, **options)
    return [writer.fuse_and_store(pair, lambda p: fuse_files(fuse, p.a_path, p.b_path, p.task)) for pair in pairs]


def _fuse_on_device(
    pairs: list[Pair], *, fuse: LumaFusion, device: str, writer: CorpusWriter
) -> Iterator[list[CorpusResult]]:
    sizes: dict[tuple[int, int], list[Pair]] = defaultdict(list)
    for pair in pairs:
        sizes[pair.height, pair.width].append(pair)
    for size in sorted(sizes, key=math.prod, reverse=True):  # the memory of the largest serves all
        bucket = sizes[size]
        for batch in _chunks(bucket, 1 if device == "cpu" else GPU_BATCH):
            yield _fuse_together(batch, fuse=fuse, device=device, writer=writer)


def _fuse_together(batch: Sequence[Pair], *, fuse: LumaFusion, device: str, writer: CorpusWriter) -> list[CorpusResult]:
    """One batch; where it fails, its pairs one by one, so that only the guilty ones are recorded."""
    started = time.perf_counter()
    try:
        images = [(read_image(pair.a_path)[0], read_image(pair.b_path)[0]) for pair in batch]
        fused = fuse_batch(fuse, images, batch[0].task, device=device)
    except Exception as error:
        if len(batch) == 1:
            return [_failure(batch[0], error)]
        alone = (_fuse_together([pair], fuse=fuse, device=device, writer=writer) for pair in batch)
        return [result for results in alone for result in results]
    seconds = (time.perf_counter() - started) / len(batch)
    return [writer.store(pair, image, seconds) for pair, image in zip(batch, fused, strict=True)]


def _take(pairs: list[Pair], *, images: FusedFolder, writer: CorpusWriter) -> Iterator[list[CorpusResult]]:
    for pair in pairs:
        yield [writer.fuse_and_store(pair, images.read, images.hashes(pair))]


def _fuse_by_command(
    pairs: list[Pair], *, options: CommandOptions, writer: CorpusWriter
) -> Iterator[list[CorpusResult]]:
    batches = _chunks(pairs, options.batch)
    for number, batch in enumerate(batches, start=1):
        with run_command(options, batch, writer.folder / LOG) as done:
            fuse = partial(_delivered, done, FusedFolder(done.out, batch))
            results = [writer.fuse_and_store(pair, fuse) for pair in batch]
        share = done.seconds / len(batch)
        yield [replace(r, seconds=round(share, 4)) if isinstance(r, CorpusEntry) else r for r in results]
        if done.problem and not any(isinstance(result, CorpusEntry) for result in results):
            # A program that gave nothing once will hardly do better, and may take its whole time limit again.
            rest = (pair for later in batches[number:] for pair in later)
            yield [CorpusFailure(pair.pair_id, "command_failed", f"not tried: {done.problem}") for pair in rest]
            return


def _delivered(done: CommandRun, images: FusedFolder, pair: Pair) -> np.ndarray:
    if pair.pair_id in done.unread:
        raise done.unread[pair.pair_id]
    try:
        return images.read(pair)
    except ImageError as error:
        reason, detail = ("command_failed", done.problem) if done.problem else (error.reason, error.detail)
        raise ImageError(f"{{out}}/{Path(error.path).name}", reason, detail) from error


def _failure(pair: Pair, error: Exception) -> CorpusFailure:
    reason = error.reason if isinstance(error, ImageError) else type(error).__name__
    return CorpusFailure(pair.pair_id, reason, str(error).partition("\n")[0][:300])


def pair_inputs_hash(pair: Pair, inputs: tuple[str, ...]) -> str:
    """What a pair's fused image is made from: its sources, and what the recipe adds."""
    return hash_of([pair.a_sha256, pair.b_sha256, *inputs])


def _code(*modules: str) -> str:
    """Of the modules of a method, and of what hands images to it."""
    return code_hash("sigforge.methods.apply", *modules)


def _chunks(pairs: Sequence[Pair], size: int) -> list[Sequence[Pair]]:
    return [pairs[start : start + size] for start in range(0, len(pairs), size)]
