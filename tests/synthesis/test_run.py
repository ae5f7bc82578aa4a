"""The factory: the same bytes whoever works, after whatever happened."""

import json
import multiprocessing
import os
import random
import shutil
import tarfile
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from sigforge.core.errors import UserError
from sigforge.core.images import decode_bytes, read_image, write_image
from sigforge.dataset.tables import Photo
from sigforge.methods.sigfusion.plgn import KIND, Plgn
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig
from sigforge.methods.weights import save_weights
from sigforge.shards.layout import shards_in
from sigforge.shards.pairs import read_rows
from sigforge.shards.verify import verify
from sigforge.synthesis import samples as factory
from sigforge.synthesis.channels import task_channels
from sigforge.synthesis.estimate import estimate
from sigforge.synthesis.gates import Gates
from sigforge.synthesis.originals import Originals
from sigforge.synthesis.plan import PlannedSample, plan, shard_path
from sigforge.synthesis.run import beyond, make_shards
from sigforge.synthesis.samples import SynthesisRecipe

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
    return SynthesisRecipe("vif", 7, SIZE, "webp", True, path, "fingerprint", "cpu")


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


def members(folder):
    """The bytes of every member of every tar of a folder."""
    found = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            found |= {member.name: tar.extractfile(member).read() for member in tar}
    return found


def test_ten_kills(recipe, photos, undisturbed, tmp_path):
    """At moments drawn over the time an undisturbed run takes; a run that ended sooner is begun anew."""
    context, rng, killed = multiprocessing.get_context("forkserver"), random.Random(5), 0
    context.set_forkserver_preload(["sigforge.synthesis.run"])
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
    assert [report.reasons for report in first] == [{"empty": 1}, {"too_small": 1}, {}]
    shutil.copy(photos[1].path, broken)
    assert make_shards(plan(whole, 3), **options) == first
    original = factory._load

    def load(entry, *rest):
        made.extend([entry.number] if isinstance(entry, PlannedSample) else [])
        return original(entry, *rest)

    monkeypatch.setattr(factory, "_load", load)
    make_shards(plan(whole, 3), **options, retry_failed=True)
    got = contents(folder)
    assert made == [1, 4] and got["vif-train-000000.tar"] == undisturbed["vif-train-000000.tar"]
    assert {name: got[name] for name in undisturbed if "000001" not in name} == {
        name: undisturbed[name] for name in undisturbed if "000001" not in name
    }


def test_a_vanished_folder_stops_with_one_line_and_a_rerun_completes(recipe, photos, undisturbed, tmp_path):
    source = shutil.copytree(os.path.dirname(photos[0].path), tmp_path / "photos")
    moved = [replace(photo, path=str(source / os.path.basename(photo.path))) for photo in photos]
    options = {"recipe": recipe, "folder": tmp_path / "out", "key": KEY}
    (tmp_path / "out").mkdir()

    def vanish(report):
        source.rename(tmp_path / "away")

    with pytest.raises(UserError, match="photos: the folder of photographs has vanished: bring it back and run again"):
        make_shards(plan(moved, 3), **options, on_shard=vanish)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"vif-train-000000.{x}" for x in ("json", "parquet", "tar")
    ]
    (tmp_path / "away").rename(source)
    make_shards(plan(moved, 3), **options)
    assert {k: v for k, v in contents(tmp_path / "out").items() if k[-3:] == "tar"} == {
        k: v for k, v in undisturbed.items() if k[-3:] == "tar"
    }


def test_nothing_is_dropped_silently(recipe, photos, tmp_path):
    strict = replace(recipe, gates=Gates(min_std=200))
    make_shards(plan(photos, COUNT, {0: "licence: forbids"}), recipe=strict, folder=tmp_path, key=KEY)
    rows = read_rows(shard_path(plan(photos, COUNT)[0], folder=tmp_path, task="vif"))
    assert [row["reason"].split(":")[0] for row in rows] == [
        "licence",
        *["constant"] * 3,
        "too_small",
        *["constant"] * 4,
    ]


def test_more_crops_keep_the_samples_there_are(recipe, photos, undisturbed, tmp_path, monkeypatch):
    """The second is the mirrored one, where there is room for no other; the shard that grows copies what it has."""
    options = {"recipe": recipe, "folder": tmp_path, "key": KEY}
    make_shards(plan(photos, 4), **options)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    images = members(tmp_path)
    made, original = [], factory._load
    monkeypatch.setattr(
        factory, "_load", lambda entry, *rest: (made.append(getattr(entry, "number", None)), original(entry, *rest))[1]
    )
    reports = make_shards(plan(photos, 4, crops=2), **options)
    assert [report.samples + report.failures for report in reports] == [4, 4, 4, 4, 2]
    assert [number for number in made if number is not None] == list(range(9, 18))
    assert images.items() <= members(tmp_path).items() and verify(tmp_path) == []
    kept = [name for name in before if "000002" not in name]
    assert len(kept) == 6 and all((tmp_path / name).stat().st_mtime_ns == before[name] for name in kept)
    facts = [json.loads(members(tmp_path)[f"{number:09d}.json"]) for number in (0, 9)]
    assert [fact["crop"] for fact in facts] == [0, 1] and facts[0]["photo_id"] == facts[1]["photo_id"] == "p0"
    assert facts[0]["box"] == [3, 0, 67, 64] and facts[0]["scale"] == 1 and facts[0]["flip"] is False
    assert facts[0]["box"] != facts[1]["box"] or facts[1]["flip"]
    left, top, right, bottom = facts[1]["box"]
    square = read_image(photos[0].path)[0][top:bottom, left:right][:, :: -1 if facts[1]["flip"] else 1]
    assert np.array_equal(Originals(photos, SIZE, 7)({"key": "000000009", "photo_id": "p0"}), square)
    with pytest.raises(UserError, match="'p1' is not in the manifest"):
        Originals(photos, SIZE, 7)({"key": "000000009", "photo_id": "p1"})
    assert [path.tar.name for path in beyond(plan(photos, 4), folder=tmp_path, task="vif")] == [
        "vif-train-000003.tar",
        "vif-train-000004.tar",
    ]


def test_a_photograph_without_room_is_on_record(recipe, photos, tmp_path):
    """All squares of a photograph of 64x70 lie close to the middle one: only its mirror image is another."""
    shards = plan(photos[:1], 40, crops=40)
    report = make_shards(shards, recipe=recipe, folder=tmp_path, key=KEY)[0]
    rows = read_rows(shard_path(0, folder=tmp_path, task="vif"))
    assert report.failures == 38 and report.reasons == {"no_room": report.failures}
    assert "photograph of 64x70 has room for" in rows[-1]["reason"]
    assert len({(row["a_sha256"], row["b_sha256"]) for row in rows if row["status"] == "ok"}) == report.samples == 2


@pytest.mark.parametrize("batch", [2, 4])
def test_alone_or_in_a_batch_a_sample_is_the_same(recipe, photos, undisturbed, tmp_path, batch):
    """Number 4 is too small: its seat stays grey, and its neighbours do not notice."""
    make_shards(plan(photos, 3), recipe=replace(recipe, batch=batch), folder=tmp_path, key=KEY)
    rows = [read_rows(shard) for shard in shards_in(tmp_path)]
    assert [[row["status"] for row in some] for some in rows] == [["ok"] * 3, ["ok", "failed", "ok"], ["ok"] * 3]
    alone = tmp_path / "alone"
    alone.mkdir()
    for name in undisturbed:
        if name.endswith((".tar", ".parquet")):
            (alone / name).write_bytes(undisturbed[name])
    for name, data in members(tmp_path).items():
        if name.endswith(".webp"):
            one, other = (decode_bytes(image, name)[0] for image in (data, members(alone)[name]))
            assert np.abs(one - other).max() <= 1.001 / 255


def test_a_batch_does_not_depend_on_who_is_in_it(recipe, photos, tmp_path):
    """The same bytes whether the neighbours are made, refused, or in another shard."""
    four = {"recipe": replace(recipe, batch=4), "key": KEY}
    for name, size, refused in (("whole", 9, {}), ("cut", 2, {}), ("refused", 9, {0: "licence: x", 2: "licence: x"})):
        (tmp_path / name).mkdir()
        make_shards(plan(photos, size, refused), folder=tmp_path / name, **four)
    whole, cut, refused = (members(tmp_path / name) for name in ("whole", "cut", "refused"))
    assert whole == cut and refused.items() < whole.items() and len(whole) - len(refused) == 6


def test_the_plan_comes_near_what_is_written(recipe, photos, undisturbed, tmp_path):
    told = estimate(plan(photos, 3, {0: "licence: x"}), recipe=recipe)
    size = sum(len(data) for name, data in undisturbed.items() if name.endswith(".tar"))
    assert (told.shards, told.refused) == (3, 1) and told.samples <= 8 and told.seconds > 0
    assert 0.5 * size < told.size < 2 * size
    assert "bytes free" in told.text(tmp_path / "not/there")
