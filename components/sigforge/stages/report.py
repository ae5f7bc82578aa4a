"""Stage ``report``: one self-contained page, and the result tables as files."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from sigforge import tracking
from sigforge.core.colour import luma
from sigforge.core.errors import UserError
from sigforge.core.files import sha256_file, write_atomic
from sigforge.core.images import read_image
from sigforge.dataset.tables import Pair, Photo, read_pairs, read_photos
from sigforge.dataset.tasks import MODALITIES, OURS, SIMULATED, SPLITS, TASKS, all_modalities, modalities
from sigforge.evaluation import gain
from sigforge.evaluation.result_tables import ResultTable, build_tables, csv_of_results
from sigforge.evaluation.score_rows import ScoreRow, read_scores
from sigforge.evaluation.table_formats import to_latex, to_markdown
from sigforge.methods.produce import configured
from sigforge.methods.registry import FusionMethod, get_method
from sigforge.methods.sigfusion.plgn import Plgn, load_plgn
from sigforge.methods.systems.method import is_system, method_of_system, tabled_systems
from sigforge.methods.systems.training import SYNTHETIC
from sigforge.methods.weights import HISTORY, MODEL
from sigforge.report.figures import curves_figure, signals_figure
from sigforge.report.gallery import GalleryScene, pair_scene, picture, scores_of
from sigforge.report.html import ReportPage, SignalPart, TaskPart, modulation_rows, render_page
from sigforge.report.pair_realism import TaskPairRealism, pair_caption, task_pair_realism, write_pair_realism
from sigforge.report.realism import TaskRealism, task_realism, write_realism
from sigforge.report.signals import CHANNEL, KINDS, ModalitySignals, measure_signals
from sigforge.shards.pairs import ShardPairs
from sigforge.stages._base import StageContext, main
from sigforge.stages._photographs import originals_of, photo_manifest
from sigforge.synthesis.originals import Originals
from sigforge.training.history import read_history, validation

SAMPLES = 8
"""Photographs and target images per modality whose subband strengths are measured."""

LOGGED = ("correlation", "gradient_correlation", "strong_share", "brighter_share", "auc")
"""Measures of synthetic pairs that go to the ledger."""


def run(context: StageContext) -> None:
    """Write ``index.html`` and one table per task as Markdown, CSV and LaTeX."""
    folder = context.folder()
    manifest = need(photo_manifest(context), "ingest@photos")
    photographs = originals_of(context, context.params.synth.size)
    parts = [task_part(context, task, photographs) for task in TASKS]
    pretrain = read_history(need(context.folder("pretrain") / HISTORY, "pretrain"))
    rows = {row.method: part.task for part in parts for row in part.tables[0].methods if row.method != OURS}
    methods = [method_of(context, name, task) for name, task in sorted(rows.items())]
    page = ReportPage(
        origins=origins(context, read_photos(manifest)),
        facts=facts(context, parts, manifest),
        tasks=parts,
        pretrain_curves=curves_figure([("Eq. 15", pretrain)], "pretrain"),
        pretrain=validation(pretrain),
        metrics=context.params.evaluate.chosen,
        methods=methods,
    )
    for part in parts:
        if part.gain.rows:
            path = folder / "tables" / f"{part.task}-transfer.md"
            write_atomic(path, to_markdown(part.gain.printed()))
            context.ledger.file(path, "tables")
        texts = {
            "md": "\n".join(to_markdown(table.printed()) for table in part.tables),
            "csv": csv_of_results(part.tables),
            "tex": "\n".join(to_latex(table.printed()) for table in part.tables),
        }
        for suffix, text in texts.items():
            path = folder / "tables" / f"{part.task}.{suffix}"
            write_atomic(path, text)
            context.ledger.file(path, "tables")
    write_realism(folder / "realism.parquet", {part.task: part.realism for part in parts})
    write_pair_realism(folder / "pairs.parquet", {part.task: part.pair_realism for part in parts})
    for name in ("realism.parquet", "pairs.parquet"):
        context.ledger.file(folder / name, "tables")
    log_pair_realism(context, parts)
    write_atomic(folder / "index.html", render_page(page))
    context.ledger.file(folder / "index.html", "figures")


def need(path: Path, target: str) -> Path:
    """``path``, which must exist.

    Raises:
        UserError: it does not; names the DVC target that makes it.
    """
    if not path.exists():
        raise UserError(f"{path}: missing; run 'dvc repro {target}'")
    return path


def task_part(context: StageContext, task: str, originals: Originals) -> TaskPart:
    """Everything the page shows of one task, read from the outputs of its stages.

    Args:
        context: of the stage.
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        originals: gives the photograph of a synthetic pair.

    Raises:
        UserError: a stage has not been run; says which.
    """
    manifest = need(context.folder("ingest", task) / "pairs.parquet", f"ingest@{task}")
    pairs = read_pairs(manifest)
    values = metric_values(context, task)
    summary = json.loads(need(context.folder("evaluate", task) / "summary.json", f"evaluate@{task}").read_text())
    metrics, simulated = context.params.evaluate.chosen, any(is_simulated(pair) for pair in pairs)
    tables = build_tables(task, values, metrics, ours=OURS, simulated=simulated)
    plgn = load_plgn(need(context.folder("plgn", task) / MODEL, f"plgn@{task}"))
    shards = ShardPairs(context.folder("synth", task))
    histories = {
        stage: read_history(need(context.folder(stage, task) / HISTORY, f"{stage}@{task}"))
        for stage in ("plgn", "pretext", "finetune")
    }
    synthetic, real = synthetic_and_real(task, shards, originals, pairs)
    return TaskPart(
        task=task,
        simulated=simulated,
        tables=tables,
        gain=gain.build_gain(task, values, metrics, simulated=simulated),
        colour=summary["colour"],
        model=summary["model"],
        manifest=sha256_file(manifest),
        gallery=list(gallery(context, task, pairs, tables[0], values)),
        synthetic=synthetic,
        real=real,
        signals=list(signal_parts(plgn, task, pairs, natural_planes(shards, originals))),
        realism=realism_part(context, task, pairs, shards, originals),
        pair_realism=pair_realism_part(context, pairs, shards, originals),
        curves=curves_figure(list(histories.items()), f"{task}-curves"),
        systems=list(system_curves(context, task)),
        modulation=modulation_rows(histories["plgn"]),
        validation=validation(histories["finetune"]),
    )


def system_curves(context: StageContext, task: str) -> Iterator[tuple[str, str]]:
    """Name and training losses of every system that was trained for the task, runs that serve another first."""
    trained = tabled_systems(context.folder("systems", task), context.folder("transfer", task))
    for name, model in trained.items():
        runs = sorted(model.parent.rglob(HISTORY), key=lambda run: (SYNTHETIC not in run.parts, -len(run.parts), run))
        titles = [" ".join((name, *run.parent.relative_to(model.parent).parts)) for run in runs]
        yield name, curves_figure(list(zip(titles, map(read_history, runs), strict=True)), f"{task}-{name}")


def metric_values(context: StageContext, task: str) -> list[ScoreRow]:
    """The rows that stage ``evaluate`` wrote.

    Raises:
        UserError: there are none, or none of a configured metric.
    """
    path = need(context.folder("evaluate", task) / "metrics.parquet", f"evaluate@{task}")
    values = read_scores(path)
    if absent := set(context.params.evaluate.metrics) - {row.metric for row in values}:
        raise UserError(f"{path}: has no value of {', '.join(sorted(absent))}; run 'dvc repro evaluate@{task}'")
    return values


def method_of(context: StageContext, name: str, task: str) -> FusionMethod:
    """What is known of a method of the tables, also of one that is no longer configured.

    Args:
        context: of the stage.
        name: of the method or system.
        task: whose options count.
    """
    if is_system(name):
        return method_of_system(name)
    options = getattr(context.params.fuse, task).get(name)
    return get_method(name) if options is None else configured(name, options, task)


def is_simulated(pair: Pair) -> bool:
    """Whether a pair was simulated, not measured."""
    return pair.source == SIMULATED


def gallery(
    context: StageContext, task: str, pairs: Sequence[Pair], table: ResultTable, values: Sequence[ScoreRow]
) -> Iterator[GalleryScene]:
    """The first test pairs, subtasks in turn, as every method of the table fused them.

    Args:
        context: of the stage; ``report.gallery`` of its parameters is the number of pairs.
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        pairs: of the task; those without scores are not shown.
        table: whose methods are shown, in its order; its first metric stands below each image.
        values: rows of ``metrics.parquet``.
    """
    scored = {row.pair_id for row in values}
    tests = [pair for pair in pairs if pair.pair_id in scored]
    turns = {name: [pair for pair in tests if pair.subtask == name] for name in MODALITIES[task]}
    order = sorted(tests, key=lambda pair: turns[pair.subtask].index(pair))
    for pair in order[: context.params.report.gallery]:
        fused = {row.method: fused_image(context, task, row.method, pair.pair_id) for row in table.methods}
        yield pair_scene(pair, fused, scores_of(pair.pair_id, values, table.metrics[0]))


def fused_image(context: StageContext, task: str, method: str, pair_id: str) -> Path:
    """Where stage ``evaluate`` (our network, the trained systems) or ``fuse`` (the others) put a fused image.

    Args:
        context: of the stage.
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        method: its name.
        pair_id: which pair.

    Raises:
        UserError: the image is not there; says which stage makes it.
    """
    stage = "evaluate" if method == OURS or is_system(method) else "fuse"
    return need(context.folder(stage, task) / method / f"{pair_id}.png", f"{stage}@{task}")


def synthetic_and_real(
    task: str, shards: ShardPairs, originals: Originals, pairs: Sequence[Pair]
) -> tuple[list[GalleryScene], list[GalleryScene]]:
    """Photographs with their pairs, and a test pair of the same kind each.

    Two photographs are shown, or one for each kind of pair if there are more kinds. The last test pairs are taken,
    since the gallery shows the first.

    Args:
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        shards: of the task.
        originals: gives the photograph of a synthetic pair.
        pairs: of the task.

    Returns:
        the synthetic scenes, and the real ones.
    """
    synthetic, real = [], []
    left = [pair for pair in pairs if pair.split == "test"]
    for index in range(min(len(shards), max(2, len(MODALITIES[task])))):
        row = shards.row(index)
        names = modalities(task, row["subtask"])
        made = shards[index]
        images = [("photograph", originals(row))]
        images += [(f"synthetic {name}", image) for name, image in zip(names, made, strict=True)]
        pictures = tuple(picture(image, name) for name, image in images)
        synthetic.append(GalleryScene(row["photo_id"], pictures, pair_caption(*made)))
        if match := next((pair for pair in reversed(left) if pair.subtask == row["subtask"]), None):
            left.remove(match)
            sources = [read_image(path)[0] for path in (match.a_path, match.b_path)]
            pictures = tuple(picture(image, name) for name, image in zip(names, sources, strict=True))
            real.append(GalleryScene(match.pair_id, pictures, pair_caption(*sources)))
    return synthetic, real


def natural_planes(shards: ShardPairs, originals: Originals) -> list[np.ndarray]:
    """Luma of the first photographs of the shards."""
    return [luma(originals(shards.row(index))) for index in range(min(len(shards), SAMPLES))]


def signal_parts(plgn: Plgn, task: str, pairs: Sequence[Pair], natural: Sequence[np.ndarray]) -> Iterator[SignalPart]:
    """Fig. 6 of every modality that the modulators were trained for; unseen real images first.

    Args:
        plgn: the trained modulators.
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        pairs: of the task; those of the test split come first.
        natural: lumas (H, W) in [0, 1] of photographs; as many real images are taken.
    """
    ordered = [pair for split in reversed(SPLITS) for pair in pairs if pair.split == split]
    for modality in all_modalities(task):
        if modality not in plgn.modulators:
            continue
        paths = [
            path
            for pair in ordered
            for name, path in zip(modalities(task, pair.subtask), (pair.a_path, pair.b_path), strict=True)
            if name == modality
        ]
        real = [luma(read_image(path)[0]) for path in paths[: len(natural)]]
        yield signal_part(measure_signals(plgn, modality, natural, real), f"{task}-{modality}")


def signal_part(measured: ModalitySignals, name: str) -> SignalPart:
    """What the page says about the signals of one modality."""
    low, high = measured.curves
    stop = low.start + len(low.signals[0])
    return SignalPart(
        modality=measured.modality,
        pictures=tuple(picture(image, kind) for kind, image in zip(KINDS, measured.images, strict=True)),
        svg=signals_figure(measured, name),
        distances=list(zip(measured.subbands, *measured.distance.tolist(), strict=True)),
        images=measured.strength.shape[1],
        window=f"Channel {CHANNEL} of {low.subband} and {high.subband}, samples {low.start} to {stop} of {low.length}",
    )


def realism_part(
    context: StageContext, task: str, pairs: Sequence[Pair], shards: ShardPairs, originals: Originals
) -> TaskRealism:
    """How near the synthetic images are to real ones, and the photographs that they were made of.

    Args:
        context: of the stage.
        task: ``vif``, ``mif``, ``mfif`` or ``mef``.
        pairs: of the task.
        shards: of the task.
        originals: gives the photograph of a synthetic pair.
    """
    params = context.params
    return task_realism(
        task,
        pairs,
        shards,
        originals,
        images=params.report.realism.images,
        side=params.report.realism.side,
        seed=params.seed,
        target=SIMULATED if any(map(is_simulated, pairs)) else "real",
    )


def pair_realism_part(
    context: StageContext, pairs: Sequence[Pair], shards: ShardPairs, originals: Originals
) -> TaskPairRealism:
    """How near the synthetic pairs are to real ones, as pairs.

    Args:
        context: of the stage.
        pairs: real ones of the task.
        shards: the synthetic ones.
        originals: the photographs that they were made of.
    """
    most, seed = context.params.report.realism.images, context.params.seed
    return task_pair_realism(pairs, shards, originals, most=most, seed=seed)


def log_pair_realism(context: StageContext, parts: Sequence[TaskPart]) -> None:
    """What decides whether pairs complement each other, to the ledger."""
    for part in parts:
        for subtask, found in part.pair_realism.found.items():
            for name in LOGGED:
                context.ledger.value(f"pairs_{subtask}_{name}", found.row(name).values["synthetic"].value)


def facts(context: StageContext, parts: Sequence[TaskPart], photos: Path) -> list[tuple[str, str]]:
    """What the page was made from; nothing that changes while commit, parameters and data stay.

    Args:
        context: of the stage.
        parts: of all tasks on the page.
        photos: manifest of the photographs.

    Returns:
        names and values, in the order of the page.
    """
    listed = ", ".join(f"{part.task} {part.manifest[:12]}" for part in parts)
    return [
        ("commit", tracking.commit()),
        ("parameters", f"{tracking.params_hash()} (sha256 of params.yaml), seed {context.params.seed}"),
        ("photographs", sha256_file(photos)[:12]),
        ("pairs", listed),
    ]


def origins(context: StageContext, photos: Iterable[Photo]) -> list[tuple[str, str, str, int]]:
    """(set, source, licence, count) of all images, most frequent first within a set."""
    found = Counter(("photographs", photo.source, photo.licence) for photo in photos)
    for task in TASKS:
        pairs = read_pairs(context.folder("ingest", task) / "pairs.parquet")
        found.update((f"{task} pairs", pair.source, pair.licence) for pair in pairs)
    return [(*key, count) for key, count in found.items()]


if __name__ == "__main__":
    sys.exit(main("report", run, sections=("report",), tasks=()))
