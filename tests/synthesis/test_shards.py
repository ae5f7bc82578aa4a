"""The factory: the same bytes whoever works, after whatever happened."""

import json
import multiprocessing
import os
import random
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from components.errors import UserError
from components.images import write_image
from components.manifest import Photo
from components.models.plgn import KIND, Plgn
from components.models.sigformer import SigFormer, SigFormerConfig
from components.models.weights import save_weights
from components.shards.reader import read_rows
from components.shards.verify import verify
from components.synthesis import shards as factory
from components.synthesis.channels import task_channels
from components.synthesis.estimate import estimate
from components.synthesis.gates import Gates
from components.synthesis.shards import Recipe, make_shards, plan, shard_path

KEY = {"parameters": "1"}
COUNT, SIZE = 9, 64


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    torch.manual_seed(0)
    config = SigFormerConfig(width=8, heads=2, signals=4)
    plgn = Plgn(SigFormer(config), tuple(channel.name for channel in task_channels("vif")))
    with torch.no_grad():
        for parameter in plgn.modulators.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    architecture = {"sigformer": config.model_dump(mode="json"), "channels": list(plgn.modulators)}
    save_weights(path, plgn, kind=KIND, config=architecture)
    return Recipe("vif", 7, SIZE, "webp", True, path, "fingerprint", "cpu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(1)
    for n in range(COUNT):
        write_image(folder / f"{n}.png", rng.random((SIZE if n != 4 else 40, 70, 3)))
    terms = ("s", "CC0", "", "somebody", True, True)
    return [Photo(f"p{n}", str(folder / f"{n}.png"), str(n), f"{n}", SIZE, 70, 3, *terms) for n in range(COUNT)]


@pytest.fixture(scope="module")
def undisturbed(recipe, photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    make_shards(plan(photos, 3), recipe=recipe, folder=folder, key=KEY)
    return contents(folder)


def contents(folder):
    """Every byte, but for the seconds in done-markers."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"}
    return files | {path.name: json.loads(path.read_text()) | {"seconds": 0} for path in folder.glob("*.json")}


def test_ten_kills(recipe, photos, undisturbed, tmp_path):
    """At moments drawn over the time an undisturbed run takes; a run that ended sooner is begun anew."""
    context, rng, killed = multiprocessing.get_context("forkserver"), random.Random(5), 0
    context.set_forkserver_preload(["components.synthesis.shards"])
    options = {"recipe": recipe, "folder": tmp_path, "key": KEY}

    def run(seconds=None):
        process = context.Process(target=make_shards, args=(plan(photos, 3),), kwargs=options)
        process.start()
        process.join(seconds)
        unfinished = process.is_alive()
        process.kill()
        process.join()
        if not unfinished:
            shutil.rmtree(tmp_path)
            tmp_path.mkdir()
        return unfinished

    run()  # the fork server imports torch
    started = time.perf_counter()
    run()
    took = time.perf_counter() - started
    for _ in range(80):
        killed += run(rng.uniform(0.1, 0.9) * took)
        if killed == 10:
            break
    assert killed == 10
    make_shards(plan(photos, 3), **options)
    assert contents(tmp_path) == undisturbed and verify(tmp_path) == []


@pytest.mark.parametrize("how", [{"workers": 2}, {"workers": 2, "cluster": "local"}], ids=["processes", "dask"])
def test_who_works_changes_no_byte(recipe, photos, undisturbed, tmp_path, how):
    if "cluster" in how:
        pytest.importorskip("distributed", reason="extra 'dask' is not installed")
    make_shards(plan(photos, 3), recipe=recipe, folder=tmp_path, key=KEY, **how)
    assert contents(tmp_path) == undisturbed


def test_no_dask_is_one_clear_line(recipe, photos, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(UserError, match=r"pip install 'sigforge\[dask\]'"):
        make_shards(plan(photos, 3), recipe=recipe, folder=tmp_path, key=KEY, cluster="local")


def test_retry_makes_only_what_failed(recipe, photos, undisturbed, tmp_path, monkeypatch):
    broken = tmp_path / "1.png"
    broken.write_bytes(b"")
    whole = [replace(photo, path=str(broken)) if n == 1 else photo for n, photo in enumerate(photos)]
    folder, made = tmp_path / "out", []
    options = {"recipe": recipe, "folder": folder, "key": KEY}
    folder.mkdir()
    first = make_shards(plan(whole, 3), **options)
    assert [report["reasons"] for report in first] == [{"empty": 1}, {"too_small": 1}, {}]
    shutil.copy(photos[1].path, broken)
    assert make_shards(plan(whole, 3), **options) == first
    original = factory._made
    monkeypatch.setattr(factory, "_made", lambda number, *rest: (made.append(number), original(number, *rest))[1])
    make_shards(plan(whole, 3), **options, retry_failed=True)
    got = contents(folder)
    assert made == [1, 4] and got["vif-train-000000.tar"] == undisturbed["vif-train-000000.tar"]
    assert {name: got[name] for name in undisturbed if "000001" not in name} == {name: undisturbed[name] for name in undisturbed if "000001" not in name}


def test_a_vanished_folder_stops_with_one_line_and_a_rerun_completes(recipe, photos, undisturbed, tmp_path):
    source = shutil.copytree(os.path.dirname(photos[0].path), tmp_path / "photos")
    moved = [replace(photo, path=str(source / os.path.basename(photo.path))) for photo in photos]
    options = {"recipe": recipe, "folder": tmp_path / "out", "key": KEY}
    (tmp_path / "out").mkdir()

    def vanish(report):
        source.rename(tmp_path / "away")

    with pytest.raises(UserError, match="photos: the folder of photographs has vanished: bring it back and run again"):
        make_shards(plan(moved, 3), **options, on_shard=vanish)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"vif-train-000000.{x}" for x in ("json", "parquet", "tar")]
    (tmp_path / "away").rename(source)
    make_shards(plan(moved, 3), **options)
    assert {k: v for k, v in contents(tmp_path / "out").items() if k[-3:] == "tar"} == {k: v for k, v in undisturbed.items() if k[-3:] == "tar"}


def test_nothing_is_dropped_silently(recipe, photos, tmp_path):
    strict = replace(recipe, gates=Gates(min_std=200))
    make_shards(plan(photos, COUNT, {0: "licence: forbids"}), recipe=strict, folder=tmp_path, key=KEY)
    rows = read_rows(shard_path(plan(photos, COUNT)[0], folder=tmp_path, task="vif"))
    assert [row["reason"].split(":")[0] for row in rows] == ["licence", *["constant"] * 3, "too_small", *["constant"] * 4]


def test_the_plan_comes_near_what_is_written(recipe, photos, undisturbed, tmp_path):
    told = estimate(plan(photos, 3, {0: "licence: x"}), recipe=recipe)
    size = sum(len(data) for name, data in undisturbed.items() if name.endswith(".tar"))
    assert (told.shards, told.refused) == (3, 1) and told.samples <= 8 and told.seconds > 0
    assert 0.5 * size < told.size < 2 * size
    assert "bytes free" in told.text(tmp_path / "not/there")
