"""More than two sources of a scene are fused by every method that takes them."""

import numpy as np
import pytest
import torch

from sigforge.cli.app import app
from sigforge.core.colour import restore_colour, restore_colour_of
from sigforge.core.images import read_image, to_uint8, write_image
from sigforge.methods.apply import fuse_sources
from sigforge.methods.registry import get_method

STEMS, LEVELS = ("beach", "tower"), {"under": 0.25, "mid": 0.6, "over": 1.0}


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(0)
    for stem in STEMS:
        scene = rng.random((24, 32, 3)).astype(np.float32)
        for name, level in LEVELS.items():
            write_image(tmp_path / name / f"{stem}.png", scene * level)
    return [tmp_path / name for name in LEVELS]


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        app([*map(str, arguments)])
    said = capsys.readouterr()
    return exit_.value.code, said.out, said.err


def by_source(paths):
    return [part for path in paths for part in ("--source", path)]


@pytest.mark.parametrize("model", ["mertens", "gff", "laplacian", "mean"])
def test_three_exposures(folders, tmp_path, capsys, model):
    out = tmp_path / "out"
    code, told, _ = run(capsys, "fuse", *by_source(folders), "-o", out, "--task", "mef", "--model", model)
    assert code == 0 and "2 of 2 scenes of 3 sources" in told
    for stem in STEMS:
        images = [read_image(folder / f"{stem}.png")[0] for folder in folders]
        expected = fuse_sources(get_method(model).fuse, images, "mef")
        assert np.array_equal(to_uint8(read_image(out / f"{stem}.png")[0]), to_uint8(expected))


def test_two_sources_are_what_a_and_b_are(folders, tmp_path, capsys):
    options = ("--task", "mef", "--model", "gff")
    run(capsys, "fuse", *by_source(folders[:2]), "-o", tmp_path / "one", *options)
    run(capsys, "fuse", *folders[:2], "-o", tmp_path / "two", *options)
    for stem in STEMS:
        assert (tmp_path / f"one/{stem}.png").read_bytes() == (tmp_path / f"two/{stem}.png").read_bytes()


def test_files_and_a_scene_that_lacks_a_source(folders, tmp_path, capsys):
    files = [folder / "beach.png" for folder in folders]
    code, _, _ = run(capsys, "fuse", *by_source(files), "-o", tmp_path / "x.png", "--task", "mef", "--model", "mertens")
    assert code == 0 and read_image(tmp_path / "x.png")[0].shape == (24, 32, 3)
    (folders[1] / "tower.png").unlink()
    code, told, error = run(
        capsys, "fuse", *by_source(folders), "-o", tmp_path / "out", "--task", "mef", "--model", "mean"
    )
    assert code == 1 and "1 of 1 scenes" in told and "tower.png: no_partner" in error


def test_scenes_of_a_table(folders, tmp_path, capsys):
    from sigforge.dataset.sequences import read_sequences, write_sequences

    scenes = [(stem, [str(folder / f"{stem}.png") for folder in folders]) for stem in STEMS]
    scenes[1][1].append(str(folders[0] / "tower.png"))
    write_sequences(scenes, tmp_path / "sequences.parquet")
    assert [len(paths) for paths in read_sequences(tmp_path / "sequences.parquet").values()] == [3, 4]
    options = ("-o", tmp_path / "out", "--task", "mef", "--model", "mertens")
    code, told, _ = run(capsys, "fuse", "--scenes", tmp_path / "sequences.parquet", *options)
    assert code == 0 and "2 of 2 scenes" in told and (tmp_path / "out/tower.png").exists()
    assert "no such table" in run(capsys, "fuse", "--scenes", tmp_path / "none.parquet", *options)[2]
    assert "--scenes alone" in run(capsys, "fuse", folders[0], "--scenes", tmp_path / "x", *options)[2]


def test_mistakes_are_one_line(folders, tmp_path, capsys):
    out = ("-o", tmp_path / "out", "--task", "mef", "--model", "mean")
    cases = {
        "not both": (*folders[:2], "--source", folders[2], *out),
        "needs two sources or more": (*by_source(folders[:1]), *out),
        "no such file or folder": (*by_source([*folders[:2], tmp_path / "none"]), *out),
        "holds or is a source": (*by_source(folders), "-o", folders[2], "--task", "mef", "--model", "mean"),
        "not mfif": (*by_source(folders), "-o", tmp_path / "out", "--task", "mfif", "--model", "mertens"),
    }
    for told, arguments in cases.items():
        code, _, error = run(capsys, "fuse", *arguments)
        assert code == 2 and told in error and error.count("\n") == 1


def test_colour_of_many_sources_weighs_each_by_its_distance_from_neutral():
    rng = np.random.default_rng(1)
    y, grey = rng.random((6, 7)), rng.random((6, 7))
    one, other = rng.random((2, 6, 7, 3))
    for task in ("vif", "mif", "mfif", "mef"):
        np.testing.assert_allclose(restore_colour_of(y, [one, other], task), restore_colour(y, one, other, task))
        np.testing.assert_allclose(restore_colour_of(y, [grey, one, grey], task), restore_colour(y, one, grey, task))
    assert restore_colour_of(y, [grey, grey, grey], "mef").ndim == 2
    batch = torch.rand(2, 1, 4, 4), [torch.rand(2, 3, 4, 4) for _ in range(3)]
    assert restore_colour_of(*batch, "mef").shape == (2, 3, 4, 4)
