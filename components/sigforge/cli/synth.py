"""``sigforge synth``."""

import sys
from pathlib import Path

from sigforge.cli.console import say
from sigforge.cli.inputs import report_left_out, report_notes
from sigforge.core.device import pick_device
from sigforge.core.errors import UserError
from sigforge.core.escape import escape_terminal
from sigforge.core.files import hash_of
from sigforge.core.parallel import run_units
from sigforge.core.progress import progress
from sigforge.core.storage import Place, check_reachable
from sigforge.dataset.contents import contents
from sigforge.dataset.sources.folders import check_photo, drop_duplicates, photo_folder
from sigforge.dataset.tables import QUARANTINE, Photo, Quarantined, photo_table, write_table
from sigforge.methods.sigfusion.plgn import load_plgn, plgn_path
from sigforge.methods.sigfusion.prior import MapKind
from sigforge.methods.weights import model_fingerprint
from sigforge.shards.layout import ShardReport
from sigforge.synthesis.continued import (
    EarlierRun,
    remove_other_lists,
    shard_inputs_hash,
    take_up,
    with_verdicts,
    write_list,
)
from sigforge.synthesis.estimate import estimate
from sigforge.synthesis.gates import refused_photos
from sigforge.synthesis.plan import ShardPlan, plan
from sigforge.synthesis.run import TakenUp, beyond
from sigforge.synthesis.samples import SynthesisRecipe, sized_for
from sigforge.synthesis.summary import run_plan
from sigforge.synthesis.synthesizer import Synthesizer, trained_subtasks

SHOWN = 10


def synthesise_folder(
    task: str,
    images: Path,
    out: Place,
    *,
    shard_size: int,
    size: int,
    model: Path | None,
    licence: str,
    seed: int,
    workers: int,
    crops: int = 1,
    pairs: int | None = None,
    maps: MapKind | None = None,
    cluster: str | None = None,
    retry_failed: bool = False,
    only_plan: bool = False,
) -> int:
    """Write the shards of a folder of photographs that are not there yet; what cannot be used is put on record.

    Args:
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        images: folder of photographs, sub-folders included.
        out: folder or bucket for the shards.
        shard_size: pairs per shard.
        size: side of the synthetic images, pixels.
        model: PLGN file; by default the one that stage ``plgn`` trained for the task.
        licence: of the photographs, recorded with every pair.
        seed: same seed, same bytes.
        workers: processes; more than one only helps without a GPU.
        crops: squares taken from each photograph.
        pairs: stop after so many; None takes all.
        maps: how dominance maps lie over photographs, for a PLGN with a condition.
        cluster: address of a Dask scheduler, or ``local``.
        retry_failed: make failed samples of finished shards again.
        only_plan: say what it would take, from a few pairs made for the purpose, and write nothing.

    Returns:
        0, the exit code.

    Raises:
        UserError: no usable photograph, no model, or ``out`` cannot be reached or holds shards made otherwise.
    """
    model = model or plgn_path(task)
    check_model(model, task, maps)
    check_reachable(out)
    photos, bad = check_photos(images, licence, workers)
    device = pick_device().torch.type
    batch, threads = sized_for(device)
    fingerprint = model_fingerprint(model)
    recipe = SynthesisRecipe(
        task, seed, size, "webp", True, model, fingerprint, device, maps=maps, batch=batch, threads=threads
    )
    facts = [
        task,
        seed,
        size,
        shard_size,
        recipe.image_format,
        recipe.focus_mix,
        recipe.gates.model_dump(mode="json"),
        recipe.machine,
        *([maps] if maps else []),
    ]
    parameters = hash_of(facts)
    photos, earlier = take_up(out, photos, parameters=parameters, model=recipe.fingerprint, crops=crops)
    key = {"parameters": parameters, "inputs": shard_inputs_hash(recipe.fingerprint, photos)}
    table = photo_table(photos)
    shards = plan(table, shard_size, refused_photos(table, recipe.gates, size=size), crops=crops, pairs=pairs)
    if only_plan:
        say(estimate(shards, recipe=recipe, workers=workers).text(out))
        return 0
    refuse_larger_run(out, shards, task)
    say_what_changed(out, earlier, len(photos))
    earlier = with_verdicts(earlier, photos, recipe.gates, size)
    write_list(out, photos, key["inputs"])
    write_table(bad, out / "quarantine.parquet", QUARANTINE)
    taken_up = TakenUp(earlier.keys, earlier.redone(len(photos), shards.samples))
    options = {"workers": workers, "retry_failed": retry_failed, "taken_up": taken_up, "cluster": cluster}
    reports, told = run_plan(f"synth {task}", shards, recipe=recipe, folder=out, key=key, **options)
    remove_other_lists(out, key["inputs"])
    _account(out, reports, told, len(bad))
    return 0


def check_model(path: Path, task: str, maps: MapKind | None = None) -> None:
    """Stop before the first photograph is read if the model cannot serve the task.

    Args:
        path: of the model.
        task: that it should serve.
        maps: that it should take.

    Raises:
        UserError: no such file, not a PLGN, one of another task, or one that takes no maps.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such model: run 'dvc repro plgn@{task}', or give --model FILE.safetensors")
    plgn = load_plgn(path)
    if not trained_subtasks(plgn, task):
        raise UserError(f"{path}: has modulators for {', '.join(plgn.modulators)}, not for {task}: give another")
    Synthesizer(plgn, task, maps=maps)


def check_photos(folder: Path, licence: str, workers: int) -> tuple[list[Photo], list[Quarantined]]:
    """The photographs of a folder without doubles, by id, and those that cannot be used.

    Args:
        folder: sub-folders included.
        licence: recorded for all of them.
        workers: processes.

    Raises:
        UserError: no such folder, or nothing in it can be used.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder: correct the path")
    candidates = photo_folder(folder, source=folder.resolve().name, licence=licence)
    checked = []
    with progress("check photographs", len(candidates)) as bar:
        for result in run_units(check_photo, candidates, workers=workers):
            checked.append(result)
            bar.advance()
    bad = [result for result in checked if isinstance(result, Quarantined)]
    photos, doubles = drop_duplicates(result for result in checked if isinstance(result, Photo))
    left_out = [*contents(folder, deep=True).left_out, *bad, *doubles]
    report_notes(folder, deep=True)
    report_left_out(left_out[:SHOWN])
    if not photos:
        raise UserError(f"{folder}: none of its {len(candidates)} images can be used; the reasons stand above")
    return photos, left_out


def refuse_larger_run(out: Place, shards: ShardPlan, task: str) -> None:
    """Leave alone the shards of a run that made more.

    Args:
        out: folder or bucket of the shards.
        shards: the plan of this run.
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.

    Raises:
        UserError: naming the first shard that this run would not make.
    """
    if more := beyond(shards, folder=out, task=task):
        raise UserError(f"{more[0].tar}: made with more --crops or --pairs: give as many, or another --out")


def say_what_changed(out: Place, earlier: EarlierRun, count: int) -> None:
    """Say on stderr which photographs an earlier run in this folder did not have.

    Args:
        out: the folder.
        earlier: that run.
        count: photographs of today.
    """
    added = count - len(earlier.photos)
    if earlier.photos and (added or earlier.changed):
        changed = f", {len(earlier.changed)} changed" if earlier.changed else ""
        line = f"{out}: {added} photographs were added{changed} since its shards were made: what is good there is kept"
        print(escape_terminal(line), file=sys.stderr)


def _account(out: Place, reports: list[ShardReport], told: str, bad: int) -> None:
    samples, failures = (sum(getattr(report, name) for report in reports) for name in ("samples", "failures"))
    if not samples:
        raise UserError(f"no photograph gave a pair; see 'reason' in {out}/*-[0-9]*.parquet, or lower --size")
    say(f"{out}: {samples} pairs in {len(reports)} shards")
    if bad or failures:
        say(f"left out: {bad} images, see {out}/quarantine.parquet; {failures} photographs, see the shards' tables")
    say(told)
