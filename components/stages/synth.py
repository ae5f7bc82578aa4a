"""Stage ``synth``: every photograph becomes a synthetic pair of the task, written into tar shards."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from components.device import pick_device
from components.errors import UserError
from components.manifest import read_photos
from components.models.weights import model_fingerprint
from components.progress import progress
from components.runner import run_units
from components.shards.writer import finished
from components.stages.base import Context, key_of, main, open_folder
from components.stages.trained import MODEL
from components.synthesis.shards import Recipe, Shard, make_shard, plan, shard_path


def run(context: Context) -> None:
    """Write the shards of a task that are not there yet."""
    params = context.params
    manifest = context.folder("ingest", "photos") / "photos.parquet"
    photos = read_photos(manifest)[: params.synth.limit]
    model = context.folder("plgn") / MODEL
    device = pick_device(params.compute.device).torch.type
    code = ("models", "signal", "synthesis", "shards", "colour", "images")
    key = key_of(params.seed, params.synth, [photo.sha256 for photo in photos], files=[model], code=code)
    folder = open_folder(context.folder(), key)
    recipe = Recipe(
        context.task,
        params.seed,
        params.synth.size,
        params.synth.image_format,
        params.synth.focus_mix,
        model,
        model_fingerprint(model),
        device,
    )
    shards = plan(photos, params.synth.shard_size)
    where = partial(shard_path, folder=folder, task=context.task)
    pending = [shard for shard in shards if finished(where(shard), key) is None]
    work = partial(make_shard, recipe=recipe, folder=folder, key=key)
    # Models on a GPU want one process; on a CPU every worker brings its own copy.
    workers = 1 if device == "cuda" else params.compute.workers
    with progress(context.name, len(photos)) as bar:
        bar.advance(sum(len(shard.photos) for shard in shards if shard not in pending))
        for report in run_units(work, pending, workers=workers):
            bar.advance(report["samples"] + report["failures"], note=report["shard"])
    _account(context, folder, shards, key)
    context.ledger.dataset("photographs", manifest)


def _account(context: Context, folder: Path, shards: Sequence[Shard], key: dict[str, object]) -> None:
    paths = [shard_path(shard, folder=folder, task=context.task) for shard in shards]
    reports = [finished(path, key) for path in paths]
    if not sum(report["samples"] for report in reports):
        raise UserError(f"no photograph gave a pair; see 'reason' in {folder}/*.parquet, or lower 'synth.size'")
    for name in ("samples", "failures", "bytes", "seconds"):
        context.ledger.value(name, sum(report[name] for report in reports))
    for report, path in zip(reports, paths, strict=True):
        context.ledger.dataset(str(report["shard"]), path.done)


if __name__ == "__main__":
    sys.exit(main("synth", run, sections=("synth", "compute")))
