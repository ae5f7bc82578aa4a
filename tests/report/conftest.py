"""A small finished project: the outputs of all stages, written by the stages' own writers, with an untrained PLGN."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from sigforge.config.load import validate
from sigforge.config.sections import Params
from sigforge.core.colour import describe, luma
from sigforge.core.files import sha256_file
from sigforge.core.images import encode_webp, read_image, write_image
from sigforge.dataset.sources import demo, scenes
from sigforge.dataset.tables import PAIRS, PHOTOS, Pair, Photo, read_photos, write_table
from sigforge.dataset.tasks import MODALITIES, OURS, SIMULATED, TASKS
from sigforge.evaluation.corpus_scores import score_image
from sigforge.evaluation.references import REFERENCES
from sigforge.evaluation.score_rows import write_scores
from sigforge.methods.sigfusion.plgn import KIND, Plgn
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig
from sigforge.methods.weights import MODEL, save_weights
from sigforge.metrics import BOTH, select_metrics
from sigforge.shards.layout import ShardPath, key_name
from sigforge.shards.writer import ShardSample, write_shard
from sigforge.stages import evaluate, report
from sigforge.stages._base import StageContext
from sigforge.synthesis.channels import task_channels
from sigforge.synthesis.synthesizer import Synthesizer
from sigforge.tracking import StageRun
from sigforge.training.history import write_history
from sigforge.training.loop import HistoryRow

ROOT = Path(__file__).parents[2]
METRICS = ("q_g", "mi", "sd", *BOTH)
BASELINES = ("max", "mean")


def tiny_params(size: int = 64, gallery: int = 2) -> Params:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["synth"]["size"], raw["report"]["gallery"], raw["evaluate"]["metrics"] = size, gallery, list(METRICS)
    return validate(raw)


def context(params: Params) -> StageContext:
    return StageContext("report", None, params, StageRun())


def make_project(
    data: Path, params: Params, config: SigFormerConfig, *, count: int = 6, metrics=METRICS, steps=40
) -> None:
    """Everything that stage ``report`` reads, below ``data``."""
    size = params.synth.size
    photos = make_photos(data / "ingest/photos", 9, size)
    write_history(
        history(("loss",), steps, {"psnr": 31.5, "psnr_without_high": 22.25, "psnr_without_low": 9.0}),
        data / "pretrain/history.parquet",
    )
    for task in TASKS:
        pairs = make_pairs(data / "ingest" / task, task, count, size)
        make_plgn(data / "plgn" / task, task, config, steps)
        make_shard(data, task, photos)
        for stage in ("pretext", "finetune"):
            write_history(
                history(("loss", "ssim", "max", "grad"), steps, {"loss": 1.25}), data / stage / task / "history.parquet"
            )
        make_scores(data, task, [pair for pair in pairs if pair.split == "test"], metrics)


def make_photos(folder: Path, count: int, size: int) -> list[Photo]:
    photos = []
    for tile in demo.photographs(count, size, seed=0):
        path = folder / f"{tile.photo_id}.png"
        write_image(path, tile.image)
        facts = {
            field.name: getattr(tile, field.name)
            for field in dataclasses.fields(tile)
            if field.name not in ("image", "photo_id")
        }
        photos.append(Photo(tile.photo_id, str(path), sha256_file(path), "0" * 16, size, size, 3, **facts))
    write_table(photos, folder / "photos.parquet", PHOTOS)
    return read_photos(folder / "photos.parquet")


def make_pairs(folder: Path, task: str, count: int, size: int) -> list[Pair]:
    """The first half trains, the rest tests."""
    pairs = []
    for index, scene in enumerate(scenes.simulate(task, count, size, seed=0)):
        paths = [folder / side / f"{scene.pair_id}.png" for side in "ab"]
        for path, image in zip(paths, (scene.a, scene.b), strict=True):
            write_image(path, image)
        pairs.append(
            Pair(
                pair_id=scene.pair_id,
                task=task,
                subtask=scene.subtask or next(iter(MODALITIES[task])),
                split="train" if index < count // 2 else "test",
                a_path=str(paths[0]),
                b_path=str(paths[1]),
                a_sha256=sha256_file(paths[0]),
                b_sha256=sha256_file(paths[1]),
                height=size,
                width=size,
                a_channels=3 if scene.a.ndim == 3 else 1,
                b_channels=3 if scene.b.ndim == 3 else 1,
                source=SIMULATED,
                licence=scene.licence,
            )
        )
    write_table(pairs, folder / "pairs.parquet", PAIRS)
    return pairs


def make_plgn(folder: Path, task: str, config: SigFormerConfig, steps: int) -> None:
    torch.manual_seed(1)
    channels = tuple(channel.name for channel in task_channels(task))
    plgn = Plgn(SigFormer(config), channels)
    for name, parameter in plgn.modulators.named_parameters():
        if name.endswith("weight") and parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.05)
    save_weights(
        folder / MODEL,
        plgn,
        kind=KIND,
        config={"task": task, "sigformer": config.model_dump(mode="json"), "channels": list(channels)},
    )
    final = {
        f"{name}_{kind}": value
        for name in channels
        for kind, value in (("signal", 0.5), ("signal_identity", 1.0), ("pixel", 0.02), ("pixel_identity", 0.01))
    }
    write_history(history(("loss", "signal", "pixel"), steps, final), folder / "history.parquet")


def make_shard(data: Path, task: str, photos: list[Photo]) -> None:
    from sigforge.methods.sigfusion.plgn import load_plgn

    synthesizer = Synthesizer(load_plgn(data / "plgn" / task / MODEL), task)
    samples = []
    for number, photo in enumerate(photos):
        pair = synthesizer.pair(read_image(photo.path)[0], number)
        samples.append(
            ShardSample(
                key_name(number), photo.photo_id, pair.subtask, encode_webp(pair.a), encode_webp(pair.b), "webp"
            )
        )
    write_shard(ShardPath.of(data / "synth" / task, task, "train", 0), samples, {})


def make_scores(data: Path, task: str, pairs: list[Pair], metrics) -> None:
    """Fused images of two baselines and a stand-in for our network, scored by the stage's own functions."""
    rules = {OURS: lambda a, b: 0.3 * a + 0.7 * b, "max": np.maximum, "mean": lambda a, b: (a + b) / 2}
    rows = []
    for method, rule in rules.items():
        folder = data / ("evaluate" if method == OURS else "fuse") / task / method
        for pair in pairs:
            path = folder / f"{pair.pair_id}.png"
            write_image(path, rule(*(luma(read_image(source)[0]) for source in (pair.a_path, pair.b_path))))
            rows += score_image((pair, method, path), metrics=select_metrics(metrics))
    for name in REFERENCES:
        rows += [row for pair in pairs for row in score_image((pair, name, None), metrics=select_metrics(metrics))]
    target = data / "evaluate" / task
    write_scores(target / "metrics.parquet", rows)
    summary = evaluate.summarise(rows, task, len(pairs), "f" * 64) | {"colour": describe(task)}
    (target / "summary.json").write_text(json.dumps(summary))


def history(names: tuple[str, ...], steps: int, final: dict[str, float]) -> list[HistoryRow]:
    rows = [
        HistoryRow(step, name, (place + 1) / (step + 5))
        for step in range(0, steps, 10)
        for place, name in enumerate(names)
    ]
    return rows + [HistoryRow(steps, f"val_{name}", value) for name, value in final.items()]


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """Folder of a finished tiny project, its report included; read only."""
    root = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        make_project(Path("data"), tiny_params(), SigFormerConfig(width=8, heads=2, signals=4, pools=(1, 1)))
        report.run(context(tiny_params()))
    return root
