"""Stage ``synth``: every photograph becomes a synthetic pair of the task, written into tar shards."""

import sys
from collections.abc import Sequence
from pathlib import Path

from sigforge.core.device import pick_device
from sigforge.core.errors import UserError
from sigforge.core.parallel import run_units
from sigforge.dataset.hashes import fingerprint_of
from sigforge.dataset.tables import read_pairs, read_photo_table
from sigforge.methods.weights import MODEL, model_fingerprint
from sigforge.shards.layout import ShardReport
from sigforge.stages._base import StageContext, key_of, main, open_folder
from sigforge.synthesis.gates import hash_of_image, refused_photos
from sigforge.synthesis.plan import ShardPlan, plan
from sigforge.synthesis.run import beyond
from sigforge.synthesis.samples import SynthesisRecipe, sized_for
from sigforge.synthesis.summary import reasons_of, run_plan

MANY = 200
GROWS = {"crops", "pairs"}
"""Parameters that say how much is made, not what: the shards of a smaller run are kept by a larger one."""


def run(context: StageContext) -> None:
    """Write the shards of a task that are not there yet."""
    params, config = context.params, context.params.synth
    manifest = context.folder("ingest", "photos") / "photos.parquet"
    photos = read_photo_table(manifest).slice(0, config.limit)
    tests = hashes_of_tests(context, params.compute.workers)
    recipe = synthesis_recipe(context)
    what = config.model_dump(mode="json", exclude=GROWS) | recipe.machine
    key = key_of(params.seed, what, fingerprint_of(photos), tests, files=[recipe.model], code=[context.module])
    folder = open_folder(context.folder(), key)
    refused = refused_photos(photos, config.gates, tests, size=config.size)
    shards = plan(photos, config.shard_size, refused, crops=config.crops, pairs=config.pairs)
    _compare(context, shards)
    for path in beyond(shards, folder=folder, task=context.task):
        print(f"{context.name}: {path.tar} belongs to a larger run; removed", file=sys.stderr)
        for file in (path.done, path.tar, path.table):
            file.unlink(missing_ok=True)
    workers = params.compute.workers
    reports, table = run_plan(context.name, shards, recipe=recipe, folder=folder, key=key, workers=workers)
    _account(context, folder, reports)
    print(table)
    context.ledger.dataset("photographs", manifest)


def synthesis_recipe(context: StageContext) -> SynthesisRecipe:
    """What the bytes of the task's shards depend on besides the photographs."""
    params, model = context.params, context.folder("plgn") / MODEL
    device = pick_device(params.compute.device).torch.type
    batch, threads = sized_for(device, params.synth.batch)
    return SynthesisRecipe(
        context.task,
        params.seed,
        params.synth.size,
        params.synth.image_format,
        params.synth.focus_mix,
        model,
        model_fingerprint(model),
        device,
        params.synth.gates,
        params.synth.maps,
        params.synth.modality,
        batch=batch,
        threads=threads,
    )


def hashes_of_tests(context: StageContext, workers: int) -> list[str]:
    """Perceptual hashes of both images of the task's test pairs, which no photograph may resemble."""
    if context.params.synth.gates.evaluation_bits is None:
        return []
    pairs = read_pairs(context.folder("ingest") / "pairs.parquet", "test")
    paths = [path for pair in pairs for path in (pair.a_path, pair.b_path)]
    return sorted(filter(None, run_units(hash_of_image, paths, workers=workers if len(paths) > MANY else 1)))


def _compare(context: StageContext, shards: ShardPlan) -> None:
    """Say so if the photographs do not give as many pairs as are asked for."""
    asked = context.params.synth.pairs
    if asked and shards.allowed < asked:
        told = f"{asked} pairs asked for, but photographs and 'synth.crops' give {shards.allowed}: raise 'synth.crops'"
        print(f"{context.name}: {told}", file=sys.stderr)


def _account(context: StageContext, folder: Path, reports: Sequence[ShardReport]) -> None:
    if not sum(report.samples for report in reports):
        raise UserError(f"no photograph gave a pair; see 'reason' in {folder}/*.parquet, or lower 'synth.size'")
    for name in ("samples", "failures", "bytes", "seconds"):
        context.ledger.value(name, sum(getattr(report, name) for report in reports))
    if reasons := reasons_of(reports):
        told = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
        print(f"{context.name}: photographs without a pair: {told}; see {folder}/*.parquet", file=sys.stderr)
    for report in reports:
        context.ledger.dataset(report.shard, (folder / report.shard).with_suffix(".json"))


if __name__ == "__main__":
    sys.exit(main("synth", run, sections=("synth", "compute")))
