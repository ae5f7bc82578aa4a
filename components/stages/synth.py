"""Stage ``synth``: every photograph becomes a synthetic pair of the task, written into tar shards."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from components.device import pick_device
from components.errors import UserError
from components.manifest import read_pairs, read_photos
from components.models.weights import model_fingerprint
from components.progress import progress
from components.runner import run_units
from components.stages.base import Context, key_of, main, open_folder
from components.stages.trained import MODEL
from components.synthesis.gates import hash_of_image, refused_photos
from components.synthesis.shards import Recipe, make_shards, plan

MANY = 200


def run(context: Context) -> None:
    """Write the shards of a task that are not there yet."""
    params = context.params
    manifest = context.folder("ingest", "photos") / "photos.parquet"
    photos = read_photos(manifest)[: params.synth.limit]
    tests = hashes_of_tests(context, params.compute.workers)
    model = context.folder("plgn") / MODEL
    code = ("models", "signal", "synthesis", "shards", "colour", "images")
    facts = [[photo.sha256, photo.phash, photo.licence] for photo in photos]
    key = key_of(params.seed, params.synth, facts, tests, files=[model], code=code)
    folder = open_folder(context.folder(), key)
    recipe = Recipe(
        context.task,
        params.seed,
        params.synth.size,
        params.synth.image_format,
        params.synth.focus_mix,
        model,
        model_fingerprint(model),
        pick_device(params.compute.device).torch.type,
        params.synth.gates,
    )
    shards = plan(photos, params.synth.shard_size, refused_photos(photos, params.synth.gates, tests))
    with progress(context.name, len(photos)) as bar:
        reports = make_shards(
            shards,
            recipe=recipe,
            folder=folder,
            key=key,
            workers=params.compute.workers,
            on_shard=lambda report: bar.advance(report["samples"] + report["failures"], note=report["shard"]),
        )
    _account(context, folder, reports)
    context.ledger.dataset("photographs", manifest)


def hashes_of_tests(context: Context, workers: int) -> list[str]:
    """Perceptual hashes of both images of the task's test pairs, which no photograph may resemble."""
    if context.params.synth.gates.evaluation_bits is None:
        return []
    pairs = read_pairs(context.folder("ingest") / "pairs.parquet", "test")
    paths = [path for pair in pairs for path in (pair.a_path, pair.b_path)]
    return sorted(filter(None, run_units(hash_of_image, paths, workers=workers if len(paths) > MANY else 1)))


def _account(context: Context, folder: Path, reports: Sequence[dict]) -> None:
    if not sum(report["samples"] for report in reports):
        raise UserError(f"no photograph gave a pair; see 'reason' in {folder}/*.parquet, or lower 'synth.size'")
    for name in ("samples", "failures", "bytes", "seconds"):
        context.ledger.value(name, sum(report[name] for report in reports))
    reasons = sum((Counter(report["reasons"]) for report in reports), Counter())
    if reasons:
        told = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        print(f"{context.name}: photographs without a pair: {told}; see {folder}/*.parquet", file=sys.stderr)
    for report in reports:
        context.ledger.dataset(str(report["shard"]), (folder / str(report["shard"])).with_suffix(".json"))


if __name__ == "__main__":
    sys.exit(main("synth", run, sections=("synth", "compute")))
