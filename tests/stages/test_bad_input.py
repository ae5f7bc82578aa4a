"""Every mistake of a user ends in exit code 2 and one line that names file or key, problem and mend."""

import json
import pickle
import shutil

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from sigforge.core.errors import ImageError, UserError
from sigforge.core.images import encode_png, write_image
from sigforge.dataset.tables import read_pairs, read_quarantine

GOOD = 4


def picture(seed, shape=(40, 48)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


PNG, JPEG = encode_png(picture(50)), cv2.imencode(".jpg", picture(51))[1].tobytes()
BROKEN = {
    "cut.png": (PNG[: len(PNG) // 2], "truncated"),
    "short.jpg": (JPEG[: len(JPEG) // 2], "truncated"),
    "empty.png": (b"", "empty"),
    "text.png": (b"these are words\n", "not_an_image"),
    "wide.png": (encode_png(picture(52, (40, 60))), "different_size"),
    "flat.png": (encode_png(np.full((40, 48), 7, np.uint8)), "constant"),
}


def error_of(done):
    """The one error line; all else on stderr is progress or quarantine, and says which stage speaks."""
    lines = done.stderr.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert (done.returncode, done.stdout, len(errors)) == (2, "", 1), done.stderr
    assert all(line.startswith(("ingest@vif", "pretrain", "synth@vif")) for line in set(lines) - set(errors)), (
        done.stderr
    )
    return errors[0]


@pytest.mark.parametrize(
    ("stage", "key", "value", "parts"),
    [
        ("ingest", "synth.sise", 64, ["params.yaml: unknown key 'synth.sise'", "correct its spelling"]),
        (
            "pretrain",
            "pretrain.steps",
            "many",
            ["params.yaml: key 'pretrain.steps'", "integer", "got 'many'; correct it"],
        ),
    ],
)
def test_mistakes_in_params(bare, stage, key, value, parts):
    bare.set(key, value)
    error = error_of(bare.command(stage))
    assert all(part in error for part in parts), error
    assert not bare.data.exists()


@pytest.mark.parametrize("stage", ["fuse", "systems", "plgn", "synth", "pretext", "finetune", "evaluate", "report"])
def test_no_stage_starts_on_bad_parameters_or_without_its_inputs(bare, capsys, stage):
    assert bare.main(stage) == 2
    out, error = capsys.readouterr()
    name = stage if stage == "report" else f"{stage}@vif"
    assert out == "" and error.startswith(f"error: {name}: data/") and error.count("\n") == 1
    assert "run" in error.partition(name)[2], "names the mend"
    bare.set("evaluate.metrics", ["q_q"])
    assert bare.main(stage) == 2
    assert capsys.readouterr().err.startswith(f"error: {name}: params.yaml: key 'evaluate.metrics': ")


def test_mistakes_that_would_show_late_are_found_early(bare, capsys):
    bare.set("ingest.vif.splits", {"val": 0.5, "test": 0.5})
    assert bare.main("ingest") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ingest@vif: params.yaml: key 'ingest.vif.splits': val and test together")
    (bare.folder / "params.yaml").write_bytes(b"seed: \xff\xfe")
    assert bare.main("ingest") == 2
    assert "params.yaml: not a text file in UTF-8; restore it" in capsys.readouterr().err


def test_without_a_project(bare, capsys):
    (bare.folder / "params.yaml").unlink()
    assert bare.main("ingest") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ingest@vif: params.yaml: no such file; run in the project folder")


@pytest.fixture
def folders(bare):
    """A project whose pairs lie in two folders: four good ones."""
    a, b = bare.folder / "images/ir", bare.folder / "images/vis"
    for index in range(GOOD):
        write_image(a / f"good{index}.png", picture(index))
        write_image(b / f"good{index}.png", picture(100 + index, (40, 48, 3)))
    source = {"kind": "folders", "name": "mine", "subtask": "vif", "a": "images/ir", "b": "images/vis"}
    bare.set("ingest.vif.sources", [source])
    bare.set("ingest.vif.min_pairs", GOOD)
    return bare


@pytest.fixture
def broken(folders):
    """Besides them one of every kind that cannot be used, and one without a partner."""
    a, b = folders.folder / "images/ir", folders.folder / "images/vis"
    for index, (name, (data, _)) in enumerate(BROKEN.items()):
        (a / name).write_bytes(data)
        write_image((b / name).with_suffix(".png"), picture(60 + index))
    (a / "alone.png").write_bytes(PNG)
    return folders


def test_a_missing_folder(folders):
    shutil.rmtree(folders.folder / "images/vis")
    error = error_of(folders.command("ingest"))
    assert error == "error: ingest@vif: images/vis: no such folder: correct the path in params.yaml or fetch the images"


def test_stems_that_do_not_match(folders):
    for path in (folders.folder / "images/vis").iterdir():
        path.rename(path.with_stem(f"vis_{path.stem}"))
    error = error_of(folders.command("ingest"))
    assert "images/ir (good0" in error and "images/vis (vis_good0" in error
    assert "share no file stem: give the two images of a pair the same name" in error


def test_broken_images_are_left_out_and_the_rest_goes_on(broken):
    done = broken.command("ingest")
    assert done.returncode == 0 and "error" not in done.stderr
    assert len(read_pairs(broken.data / "ingest/vif/pairs.parquet")) == GOOD
    left_out = {item.path: item for item in read_quarantine(broken.data / "ingest/vif/quarantine.parquet")}
    reasons = {f"images/ir/{name}": reason for name, (_, reason) in BROKEN.items()}
    assert {path: item.reason for path, item in left_out.items()} == reasons | {"images/ir/alone.png": "no_partner"}
    for path, item in left_out.items():
        assert f"ingest@vif: quarantined {path}: {item.reason}: {item.detail}\n" in done.stderr
    broken.call("fuse")
    assert len(list((broken.data / "fuse/vif/mean").glob("*.png"))) == GOOD


def test_fewer_pairs_than_asked_for(broken):
    broken.call("ingest")
    broken.set("ingest.vif.min_pairs", GOOD + 1)
    error = error_of(broken.command("ingest"))
    assert "4 usable pairs, fewer than 'ingest.vif.min_pairs' 5; 7 quarantined; the first: images/ir/" in error
    assert error.endswith("mend the images, give more, or lower that key")
    assert sorted(path.name for path in (broken.data / "ingest/vif").iterdir()) == [
        "levels.parquet",
        "quarantine.parquet",
    ]


def test_photographs_are_checked_too(bare):
    for index in range(3):
        write_image(bare.folder / f"photos/{index}.png", picture(index, (70, 80, 3)))
    (bare.folder / "photos/cut.png").write_bytes(PNG[:200])
    bare.set("ingest.photos.sources", [{"kind": "folder", "name": "mine", "path": "photos"}])
    bare.call("ingest", "photos")
    assert [item.reason for item in read_quarantine(bare.data / "ingest/photos/quarantine.parquet")] == ["truncated"]
    bare.set("ingest.photos.min_photos", 4)
    with pytest.raises(
        UserError, match=r"3 usable photos, fewer than 'ingest.photos.min_photos' 4.*photos/cut.png: truncated"
    ):
        bare.call("ingest", "photos")


def test_an_image_that_breaks_after_ingest(project, capsys):
    pair = read_pairs(project.data / "ingest/vif/pairs.parquet")[0]
    (project.folder / pair.a_path).write_bytes(b"")
    project.set("fuse.vif", {"mean": {}, "laplacian": {}})
    assert project.main("fuse") == 0
    line = f"data/fuse/vif/laplacian: 1 of 8 pairs not fused, see failures.parquet; {pair.pair_id}: {pair.a_path}: holds no bytes"
    assert line in capsys.readouterr().err
    for stage in ("plgn", "synth", "pretext", "finetune", "evaluate"):
        project.call(stage)
    assert "1 of 8 pairs left out: not fused by every method (laplacian lacks 1)" in capsys.readouterr().err


def test_a_photograph_that_breaks_after_ingest_is_counted(project):
    photo = sorted((project.data / "ingest/photos/images").iterdir())[4]
    photo.write_bytes(photo.read_bytes()[:300])
    shutil.rmtree(project.data / "synth")
    project.call("synth")
    rows = pq.read_table(project.data / "synth/vif/vif-train-000001.parquet").to_pylist()
    assert [row["status"] for row in rows] == ["ok", "failed", "ok"]
    assert photo.name in rows[1]["reason"] and "damaged" in rows[1]["reason"]
    report = json.loads((project.data / "synth/vif/vif-train-000001.json").read_text())
    assert (report["samples"], report["failures"]) == (2, 1)


def test_an_image_error_gets_out_of_a_worker_process():
    """One that does not breaks the whole pool, with a traceback instead of a line."""
    error = pickle.loads(pickle.dumps(ImageError("a.png", "truncated", "is cut short: copy it again")))
    assert (str(error), error.path, error.reason) == ("a.png: is cut short: copy it again", "a.png", "truncated")


@pytest.mark.parametrize("stage", ["plgn", "evaluate"])
def test_a_task_without_fused_corpora(project, stage):
    shutil.rmtree(project.data / "fuse/vif")
    with pytest.raises(UserError, match="data/fuse/vif: .*run 'dvc repro fuse@vif'"):
        project.call(stage)
