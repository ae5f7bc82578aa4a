import dataclasses
import math
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from sigforge.cli import app as cli
from sigforge.core.images import write_image
from sigforge.core.subsets import spread
from sigforge.dataset.tables import PAIRS, Pair, read_pairs, write_table
from sigforge.evaluation.realism.by_modality import first_of_each_photograph, real_paths
from sigforge.evaluation.realism.compare import MEASURES, measure_realism
from sigforge.evaluation.realism.pair_compare import PAIR_MEASURES
from sigforge.report.figures import spectra_figure
from sigforge.shards.pairs import ShardPairs
from sigforge.stages import report

from .conftest import context, tiny_params

SINGLE = [f"{name}.{z}" for name in ("level", "kurtosis") for z in range(1, 6)]


@pytest.fixture(scope="module")
def compared(project, tmp_path_factory):
    """The finished project with all pairs of ``vif`` held out, and its report of two tasks made again."""
    folder = tmp_path_factory.mktemp("compared")
    shutil.copytree(project / "data", folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(report, "TASKS", ("vif", "mif"))
        manifest = Path("data/ingest/vif/pairs.parquet")
        pairs = [
            dataclasses.replace(pair, split="val") if pair.split == "train" else pair for pair in read_pairs(manifest)
        ]
        write_table(pairs, manifest, PAIRS)
        report.run(context(tiny_params()))
    return folder / "data/report"


def section(folder, task):
    page = (folder / "index.html").read_text()
    whole = re.search(rf'<section id="{task}">.*?</section>', page, re.DOTALL)[0]
    return re.search(r"<h3>Distance from.*?(?=<h3>)", whole, re.DOTALL)[0]


def test_page_shows_three_sets_of_every_modality(compared):
    part = section(compared, "vif")
    assert re.findall(r'scope="rowgroup" rowspan="3">(\w+)<', part) == ["ir", "vis"]
    assert re.findall(r'scope="row">([^<]+)<', part) == ["simulated (6)", "photographs (9)", "synthetic (9)"] * 2
    assert part.count("<td>") == 2 * 3 * len(MEASURES)
    assert part.count('aria-label="Power spectra of vif"') == 1 and 'href="#distances"' in part
    assert "in crops of 64 pixels" in part and ">simulated</text>" in part


def test_page_says_what_could_not_be_compared(compared, project):
    assert "ir has 3 held-out and 9 synthetic images; at least 6 of each are needed." in section(
        project / "data/report", "vif"
    )
    left_out = section(compared, "mif")
    assert "ct has 1 held-out and 3 synthetic images" in left_out and "mri has 3 held-out and 9 synthetic" in left_out
    assert "<table" not in left_out and "<svg" not in left_out


def test_page_and_table_agree(compared):
    rows = parquet.read_table(compared / "realism.parquet").to_pylist()
    assert [row["measure"] for row in rows[::3]] == [*MEASURES, *SINGLE] * 2
    assert {(row["task"], row["side"], row["real_images"]) for row in rows} == {("vif", 64, 6)}
    assert {row["set"]: row["images"] for row in rows} == {"real": 6, "photographs": 9, "synthetic": 9}
    part = section(compared, "vif")
    for row in rows:
        assert math.isfinite(row["value"]) and math.isfinite(row["low"]) == (row["measure"] == "auc")
        if row["measure"] in MEASURES:
            text = f"{row['value']:.2f} <small>" if row["measure"] == "auc" else f"{row['value']:.3g}<"
            assert f">{text}" in part, row


def test_nearer_is_bold(compared):
    rows = parquet.read_table(compared / "realism.parquet").to_pylist()
    values = {(row["modality"], row["measure"], row["set"]): row["value"] for row in rows}
    nearer = sum(
        values[modality, name, "synthetic"] < values[modality, name, "photographs"]
        for modality in ("ir", "vis")
        for name in MEASURES
    )
    assert section(compared, "vif").count("<td><b>") == nearer


def test_images_per_set_are_capped(compared, monkeypatch):
    monkeypatch.chdir(compared.parents[1])
    pairs, shards = read_pairs("data/ingest/vif/pairs.parquet"), ShardPairs(Path("data/synth/vif"))
    photograph = np.full((64, 64), 0.5)
    part = report.task_realism("vif", pairs, shards, lambda row: photograph, images=6, side=32, seed=0)
    assert part.found["ir"].images == {"real": 6, "before": 6, "after": 6} and part.found["ir"].side == 32


def pair(number, subtask, a, b, split="test") -> Pair:
    return Pair(f"p{number}", "mif", subtask, split, f"a{number}", f"b{number}", a, b, 64, 64, 1, 1, "here", "free")


def test_equal_real_images_count_once_and_sides_follow_the_subtask():
    pairs = [pair(0, "mri-ct", "x", "m"), pair(1, "mri-pet", "y", "m"), pair(2, "mri-ct", "z", "n")]
    assert real_paths(pairs, "ct") == ["a0", "a2"] and real_paths(pairs, "pet") == ["a1"]
    assert real_paths(pairs, "mri") == ["b1", "b2"]


def test_one_pair_per_photograph():
    class Rows(list):
        def row(self, index):
            return {"photo_id": self[index]}

    assert first_of_each_photograph(Rows("abcabcd")) == [0, 1, 2, 6]
    assert spread(range(100), 4) == (0, 25, 50, 75) and spread([], 4) == ()


def test_figure_is_the_same_for_the_same_images_and_has_a_panel_per_modality():
    sets = np.random.default_rng(0).random((3, 6, 32, 32))
    found = measure_realism(*sets, side=32)
    svg = spectra_figure({"ir": found, "vis": found}, "x", target="simulated")
    assert svg == spectra_figure({"ir": found, "vis": found}, "x", target="simulated")
    assert re.findall(r">(ir|vis|photographs|synthetic|simulated)</text>", svg) == [
        "ir",
        "vis",
        "photographs",
        "synthetic",
        "simulated",
    ]
    assert spectra_figure({"ir": found}, "x").count("cycles per pixel") == 1


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Real images, blurred ones and noise, seven of each; the noise is larger."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for number in range(7):
        field = cv2.GaussianBlur(random.normal(size=(72, 80)), (0, 0), 3)
        image = 0.5 + 0.3 * np.sign(field)
        write_image(f"real/{number}.png", image)
        write_image(f"made/{number}.png", cv2.GaussianBlur(image, (0, 0), 0.8)[:64, :64])
        write_image(f"photos/{number}.png", random.random((90, 100, 3)))
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(cli.app, ["realism", *map(str, arguments)])


def test_command_prints_the_table(folders):
    result = run("--real", "real", "--synthetic", "made", "--before", "photos", "--side", 64)
    assert result.exit_code == 0, result.output
    assert "7 real, 7 photographs, 7 synthetic; crops of 64 pixels" in result.output
    lines = {line.split("│")[1].strip(): line.split("│")[2:-1] for line in result.output.splitlines() if "│" in line}
    assert set(lines) == {label for label, _ in MEASURES.values()} | {"exponent of the spectrum itself"}
    unit, *values = (cell.strip() for cell in lines["subband power"])
    real, photographs, synthetic = map(float, values)
    assert unit == "dB" and real < synthetic < photographs
    two = run("--real", "real", "--synthetic", "made", "--side", 64)
    assert "photographs" not in two.output and two.exit_code == 0


def test_command_reads_shards(project, folders):
    shards = project / "data/synth/vif"
    results = [run("--real", "real", "--synthetic", shards, "--side", 64, "--member", side) for side in "ab"]
    assert all(result.exit_code == 0 and "9 synthetic" in result.output for result in results)
    assert results[0].output != results[1].output


def test_command_names_what_it_leaves_out_and_what_is_wrong(folders):
    write_image("real/small.png", np.zeros((20, 20)))
    result = run("--real", "real", "--synthetic", "made", "--side", 64)
    assert result.exit_code == 1 and "left out: real/small.png: too_small" in result.stderr
    for arguments, words in (
        (("--real", "nowhere", "--synthetic", "made"), "nowhere: no such folder"),
        (("--real", "real", "--synthetic", "nowhere"), "nowhere: no such folder"),
        (("--real", "real", "--synthetic", "made", "--side", 70), "made: holds no image"),
        (("--real", "real", "--synthetic", "made", "--images", 5), "'--images'"),
    ):
        failed = run(*arguments)
        errors = [line for line in failed.stderr.splitlines() if line.startswith("error:")]
        assert failed.exit_code == 2 and len(errors) == 1 and words in errors[0], failed.output


def test_pairs_are_compared_as_pairs_on_the_page_and_in_the_table(compared):
    rows = parquet.read_table(compared / "pairs.parquet").to_pylist()
    assert {(row["task"], row["subtask"]) for row in rows} == {("vif", "vif")}
    assert [row["measure"] for row in rows[::4]] == list(PAIR_MEASURES)
    counts = {row["set"]: row["pairs"] for row in rows}
    assert counts == {"real": 6, "synthetic": 9, "photographs twice": 9, "shuffled partners": 6}
    values = {(row["measure"], row["set"]): row["value"] for row in rows}
    assert values["correlation", "photographs twice"] == pytest.approx(1)
    assert values["auc", "photographs twice"] > 0.9
    page = (compared / "index.html").read_text()
    assert "photographs twice (9)" in page and 'id="pairs"' in page
    assert re.search(r"correlation [−-]?\d\.\d\d, of gradients \d\.\d\d; a wins \d+ % of strong gradients", page)
    assert "mri-ct has 1 held-out and 3 synthetic pairs; at least 6 of each are needed." in page


def test_the_command_compares_pairs_of_two_folders(project, tmp_path):
    shards = project / "data/synth/vif"
    pairs = ShardPairs(shards)
    for index in range(7):
        for name, image in zip("ab", pairs[index], strict=True):
            write_image(tmp_path / name / f"{index}.png", image)
    write_image(tmp_path / "a/alone.png", pairs[0][0])
    command = ["realism", "--real", tmp_path / "a", "--partners", tmp_path / "b", "--synthetic", shards, "--side", "64"]
    result = CliRunner().invoke(cli.app, list(map(str, command)))
    assert result.exit_code == 0, result.output
    assert "synthetic (9)" in result.output and "real (7)" in result.output
    assert "photographs twice" not in result.output
    result = CliRunner().invoke(cli.app, list(map(str, [*command[:4], tmp_path / "a", "--synthetic", tmp_path / "b"])))
    assert result.exit_code == 2 and "holds no shards" in " ".join(result.output.split())


def test_the_command_measures_what_pairs_bring_a_network_that_sees_few(project, tmp_path):
    shards = project / "data/synth/vif"
    for index in range(8):
        for name, image in zip("ab", ShardPairs(shards)[index], strict=True):
            write_image(tmp_path / name / f"{index}.png", image)
    folders = ["--real", tmp_path / "a", "--partners", tmp_path / "b", "--synthetic", shards]
    command = ["realism", *folders, "--few-shot", "2", "--task", "vif", "--steps", "4"]
    result = CliRunner().invoke(cli.app, list(map(str, command)))
    assert result.exit_code == 0, result.output
    assert "the head alone, 4 steps, 3 seeds" in result.output and "synthetic before" in result.output
    result = CliRunner().invoke(cli.app, list(map(str, [*command[:3], "--synthetic", shards, "--few-shot", "2"])))
    assert result.exit_code == 2 and "give the real images' partners with --partners" in " ".join(result.output.split())
