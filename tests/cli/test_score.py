import csv
import io
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from sigforge.cli import app as cli
from sigforge.cli.score import tables
from sigforge.core.colour import luma
from sigforge.core.images import encode_webp, read_image, write_image
from sigforge.evaluation.file_scores import LUMA
from sigforge.evaluation.leaderboard import build_leaderboard
from sigforge.evaluation.references import REFERENCES
from sigforge.metrics import BOTH as METRICS_OF_BOTH
from sigforge.metrics import PAPER, get_metric, list_metrics, score, select_metrics
from sigforge.metrics.registry import DISTANCES

STEMS = ("day", "night", "noon")
FOLDERS = ("--a", "ir", "--b", "vis")
BOTH = (*FOLDERS, "--fused", "mean", "--fused", "max")


def run(*arguments):
    return CliRunner().invoke(cli.app, ["score", *(str(argument) for argument in arguments)])


def assert_mistake(result, *words):
    """Exit code 2 and one 'error:' line with these words; a traceback would show as another exception."""
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit)
    errors = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1 and all(word in errors[0] for word in words), errors


def picture(seed, *shape):
    noise = np.random.default_rng(seed).random(shape, np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 2) * 3 % 1


def values_of(path="scores.parquet"):
    """(pair, method) to its scores, without copies and collage."""
    rows = pq.read_table(path).to_pylist()
    scores = {(row.pop("pair"), row.pop("method")): row for row in rows}
    return {key: row for key, row in scores.items() if key[1] not in REFERENCES}


def batch(path):
    return torch.from_numpy(luma(read_image(path)[0]))[None, None]


@pytest.fixture
def fused(tmp_path, monkeypatch):
    """Three pairs of odd sizes, grey and coloured, and what two methods made of them."""
    monkeypatch.chdir(tmp_path)
    for n, stem in enumerate(STEMS):
        size = (49 + 2 * n, 63 - 4 * n)
        a, b = picture(n, *size), picture(10 + n, *size, 3)
        write_image(f"ir/{stem}.png", a)
        write_image(f"vis/{stem}.png", b)
        write_image(f"mean/{stem}.png", (a[..., None] + b) / 2)
        write_image(f"max/{stem}.png", np.maximum(a, luma(b)))
    return tmp_path


def test_scores_are_those_of_the_library(fused):
    result = run(*BOTH, "--csv", "scores.csv")
    assert result.exit_code == 0 and "means over 3 pairs" in result.stdout
    assert "Q_G ↑" in result.stdout and "…" not in result.stdout
    rows = list(csv.DictReader(Path("scores.csv").open()))
    methods = ("max", "mean", *REFERENCES)
    assert [(row["pair"], row["method"]) for row in rows] == [(stem, m) for stem in STEMS for m in methods]
    for name, value in score(*map(batch, ("max/day.png", "ir/day.png", "vis/day.png"))).items():
        assert float(rows[0][name]) == pytest.approx(value.item(), rel=1e-9)
    assert tuple(rows[0])[2:] == (*PAPER, *METRICS_OF_BOTH, *DISTANCES)


def test_csv_and_parquet_agree_and_carry_the_conventions(fused):
    assert run(*BOTH, "--metrics", "sd,mi", "--csv", "scores.csv", "--parquet", "scores.parquet").exit_code == 0
    by_parquet = values_of()
    for row in csv.DictReader(
        line for line in Path("scores.csv").open() if "alone" not in line and "collage" not in line
    ):
        expected = by_parquet[row["pair"], row["method"]]
        assert [float(row[name]) for name in ("sd", "mi")] == pytest.approx([expected["sd"], expected["mi"]], rel=1e-9)
    notes = pq.read_schema("scores.parquet").metadata[b"notes"].decode()
    assert LUMA in notes and get_metric("sd").convention in notes


def test_printed_means_say_what_they_are(fused):
    result = run(*BOTH, "--metrics", "sd")
    mean = np.mean(
        [float(score(*map(batch, (f"max/{s}.png", f"ir/{s}.png", f"vis/{s}.png")), metrics="sd")["sd"]) for s in STEMS]
    )
    line = next(line for line in result.stdout.splitlines() if re.match(r"\W*max ", line))
    assert f" {mean:.2f} " in line
    assert f"{LUMA} (6 of 12 files), rounded to 8 bits" in result.stdout
    assert f"SD (sd): {get_metric('sd').convention}" in result.stdout
    assert "two-sided, all 2^3 signs" in result.stdout


def test_copies_and_collage_are_scored_on_request_and_a_near_copy_is_told(fused):
    for stem in STEMS:
        write_image(f"lazy/{stem}.png", read_image(f"ir/{stem}.png")[0])
    result = run(*BOTH, "--fused", "lazy", "--parquet", "scores.parquet", "--leaderboard", "board.md")
    assert result.exit_code == 0 and "lazy is within 2 % of a copy of a" in " ".join(result.stdout.split())
    rows = {(row["pair"], row["method"]): row for row in pq.read_table("scores.parquet").to_pylist()}
    for metric in ("q_g", "vif_min", "distance_b"):
        values = [rows["day", method][metric] for method in ("lazy", "a alone")]
        assert values[0] == pytest.approx(values[1], rel=1e-9, nan_ok=True)
    assert rows["day", "a alone"]["distance_a"] == 0 == rows["day", "b alone"]["distance_b"]
    board = Path("board.md").read_text()
    assert board.index("| *a alone* | – |") > board.index("| lazy |") and "both ↓" in board
    bare = run(*BOTH, "--no-copies", "--metrics", "sd", "--parquet", "scores.parquet")
    assert bare.exit_code == 0 and "both" not in bare.stdout
    assert {row["method"] for row in pq.read_table("scores.parquet").to_pylist()} == {"max", "mean"}


def test_a_folder_that_is_called_as_a_copy_keeps_its_path(fused):
    Path("mean").rename("collage")
    result = run(*FOLDERS, "--fused", "collage", "--metrics", "sd", "--parquet", "scores.parquet")
    assert result.exit_code == 0
    methods = {row["method"] for row in pq.read_table("scores.parquet").to_pylist()}
    assert methods == {str(Path("collage").resolve()), *REFERENCES}


def test_luma_is_the_formula_that_is_told():
    weights = [float(weight) for weight in re.findall(r"[\d.]+", LUMA)]
    assert luma(np.eye(3)[None])[0] == pytest.approx(weights)


def test_every_metric_is_scored_with_all_and_reference_ones_only_with_a_reference(fused):
    with_reference = {name for name in list_metrics() if get_metric(name).needs_reference}
    one = ("--a", "ir/day.png", "--b", "vis/day.png", "--fused", "mean/day.png", "--metrics", "all")
    assert run(*one, "--parquet", "scores.parquet").exit_code == 0
    assert set(next(iter(values_of().values()))) == set(list_metrics()) - with_reference
    if not with_reference:
        pytest.skip("no metric of the registry needs a reference")
    assert run(*one, "--reference", "max/day.png", "--parquet", "scores.parquet").exit_code == 0
    found, name = values_of()["day", "day"], min(with_reference)
    expected = score(
        *map(batch, ("mean/day.png", "ir/day.png", "vis/day.png")), metrics=name, reference=batch("max/day.png")
    )
    assert set(found) == set(list_metrics())
    assert found[name] == pytest.approx(expected[name].item(), rel=1e-9)
    assert_mistake(run(*one[:-1], name), name, "reference")


def test_best_is_bold_and_second_underlined_by_the_direction_of_its_metric():
    values = np.array([[[5.0, 2.0], [7.0, 1.0], [6.0, 0.5]]])
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    console.print(next(tables(build_leaderboard(values, ("one", "two", "three"), select_metrics("sd, mi")))))
    lines = {line.split()[1]: line for line in console.file.getvalue().splitlines() if line.startswith("│")}
    assert "\x1b[1m2.000" in lines["one"] and "\x1b[1m7.000" in lines["two"]
    assert "\x1b[4m1.000" in lines["two"] and "\x1b[4m6.000" in lines["three"]
    assert sum(line.count("\x1b[1m") + line.count("\x1b[4m") for line in lines.values()) == 4


def test_a_missing_image_costs_its_method_and_the_means(fused):
    Path("max/noon.png").unlink()
    options = (*BOTH, "--metrics", "sd", "--parquet", "scores.parquet")
    result = run(*options)
    assert result.exit_code == 0 and "means over 2 pairs" in result.stdout
    assert "left out: ir/noon.png: no_partner: max" in result.stderr
    assert "max: 2 of 3 pairs scored" in result.stdout
    assert ("noon", "mean") in values_of() and ("noon", "max") not in values_of()
    assert run(*options, "--strict").exit_code == 1
    assert run(*FOLDERS, "--fused", "mean", "--metrics", "sd", "--strict").exit_code == 0


def test_bad_files_are_named_and_the_rest_is_scored(fused):
    write_image("mean/night.png", picture(0, 20, 20))
    Path("max/noon.png").write_bytes(Path("max/noon.png").read_bytes()[:90])
    result = run(*BOTH, "--metrics", "sd", "--parquet", "scores.parquet")
    assert result.exit_code == 1 and "means over 1 pair;" in result.stdout
    assert "mean/night.png: different_size: is 20x20, but ir/night.png is 59x51" in result.stderr
    assert "max/noon.png: truncated" in result.stderr
    assert set(values_of()) == {("day", "max"), ("day", "mean"), ("night", "max"), ("noon", "mean")}


def test_a_bad_source_takes_its_pair_with_it(fused):
    write_image("vis/night.png", picture(0, 20, 20))
    Path("vis/noon.png").unlink()
    result = run(*FOLDERS, "--fused", "mean", "--metrics", "sd", "--parquet", "scores.parquet")
    assert result.exit_code == 1 and set(values_of()) == {("day", "mean")}
    assert "vis/night.png: different_size: is 20x20, but ir/night.png is 59x51" in result.stderr
    assert result.stderr.count("ir/noon.png: no_partner: vis") == 1
    write_image("vis/day.png", picture(0, 20, 20))
    assert_mistake(run(*FOLDERS, "--fused", "mean", "--metrics", "sd"), "no pair could be scored")


def test_two_results_of_one_pair_are_not_guessed_between(fused):
    Path("max/noon.tif").write_bytes(Path("max/noon.png").read_bytes())
    result = run(*BOTH, "--metrics", "sd")
    assert result.exit_code == 1 and "means over 2 pairs" in result.stdout
    assert "max/noon.png: ambiguous_stem" in result.stderr and "max/noon.tif: ambiguous_stem" in result.stderr


def test_tiny_images_are_scored_by_what_is_defined_on_them(fused):
    for folder in ("a", "b", "f"):
        write_image(f"{folder}/dot.png", picture(len(folder), 3, 2))
    result = run("--a", "a", "--b", "b", "--fused", "f", "--metrics", "all", "--parquet", "scores.parquet")
    assert result.exit_code == 0 and np.isfinite(values_of()["dot", "f"]["sd"]) and "VIF" in result.stdout


def test_reference_is_matched_by_stem_and_must_fit(fused):
    for stem in STEMS[:2]:
        write_image(f"truth/{stem}.png", read_image(f"max/{stem}.png")[0])
    write_image("truth/night.png", picture(0, 20, 20))
    result = run(*FOLDERS, "--fused", "mean", "--metrics", "sd", "--reference", "truth", "--parquet", "scores.parquet")
    assert result.exit_code == 1 and set(values_of()) == {("day", "mean")}
    assert "ir/noon.png: no_partner: truth" in result.stderr and "truth/night.png: different_size" in result.stderr


def test_lossy_files_warn_whatever_their_name(fused):
    pixels = cv2.imread("max/noon.png")
    Path("max/noon.png").write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
    Path("ir/day.png").write_bytes(
        cv2.imencode(".webp", cv2.imread("ir/day.png"), (cv2.IMWRITE_WEBP_QUALITY, 80))[1].tobytes()
    )
    told = [line for line in run(*BOTH, "--metrics", "sd").stderr.splitlines() if line.startswith("warning")]
    assert len(told) == 2
    assert "1 of 3 fused images of max" in told[0] and "1 of 6 source" in told[1]


def test_scores_do_not_depend_on_format_order_or_workers(fused):
    options = ("--metrics", "paper", "--parquet", "scores.parquet", "--leaderboard", "board.md")
    assert run(*BOTH, *options).exit_code == 0
    values, board = Path("scores.parquet").read_bytes(), Path("board.md").read_text()
    for folder in ("ir", "vis", "mean", "max"):
        for n, stem in enumerate(reversed(STEMS)):
            path = Path(folder, f"{stem}.png")
            image = read_image(path)[0]
            path.unlink()
            if n == 0:
                path.with_suffix(".webp").write_bytes(encode_webp(image))
            else:
                levels = (image * 255).round().astype(np.uint16) * (257 if n == 2 else 1)
                levels = levels if n == 2 else levels.astype(np.uint8)
                assert cv2.imwrite(str(path.with_suffix(".tif")), levels[..., ::-1] if levels.ndim == 3 else levels)
            os.utime(folder)
    result = run(*FOLDERS, "--fused", "max", "--fused", "mean", *options)
    assert result.exit_code == 0 and "warning" not in result.stderr
    assert "files of 16 bits (4 of 12) are divided by 65535" in result.stdout
    assert {k: tuple(v.values()) for k, v in values_of().items()} == {
        k: tuple(v.values()) for k, v in values_of(io.BytesIO(values)).items()
    }
    assert Path("board.md").read_text().splitlines()[:6] == board.splitlines()[:6]


def test_worker_processes_give_the_same_files(fused):
    options = (*BOTH, "--metrics", "sd,mi,q_g", "--parquet")
    assert run(*options, "one.parquet").exit_code == run(*options, "two.parquet", "--workers", 2).exit_code == 0
    assert Path("one.parquet").read_bytes() == Path("two.parquet").read_bytes()


def test_leaderboard_and_plot_are_written_and_repeat_to_the_byte(fused):
    files = [Path(name) for name in ("b.md", "b.tex", "b.html", "p.svg", "p.png")]
    boards = [word for path in files[:3] for word in ("--leaderboard", path)]
    made = []
    for _ in range(2):
        for path in files[3:]:
            assert run(*BOTH, "--metrics", "sd,mi", *boards, "--plot", path).exit_code == 0
        made.append([path.read_bytes() for path in files])
    assert made[0] == made[1]
    markdown = files[0].read_text()
    assert "| SD ↑ |" in markdown and LUMA in markdown and get_metric("mi").convention in markdown
    assert files[3].read_text().count("SD ↑") == 1 and files[4].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--metrics", "sdd"), ("sdd", "did you mean 'sd'")),
        (("--fused", "nothing"), ("nothing: no such file",)),
        (("--fused", "mean"), ("mean: given twice",)),
        (("--leaderboard", "board.txt"), ("board.txt", ".md, .tex, .html")),
        (("--plot", "plot.pdf"), ("plot.pdf", ".svg or .png")),
        (("--reference", "truth"), ("truth: no such file",)),
    ],
)
def test_mistakes_are_one_line_before_any_work(fused, arguments, words):
    result = run(*FOLDERS, "--fused", "mean", "--csv", "scores.csv", *arguments)
    assert_mistake(result, *words)
    assert not Path("scores.csv").exists() and "score:" not in result.stderr


def test_single_files_and_names_that_do_not_meet(fused):
    assert (
        "day" in run("--a", "ir/day.png", "--b", "vis/day.png", "--fused", "mean/day.png", "--metrics", "sd,mi").stdout
    )
    write_image("other/dawn.png", picture(0, 20, 20))
    assert_mistake(run(*FOLDERS, "--fused", "other"), "share no file stem")
    for folder, stem in (("first", "day"), ("second", "night")):
        write_image(f"{folder}/{stem}.png", read_image(f"mean/{stem}.png")[0])
    assert_mistake(run(*FOLDERS, "--fused", "first", "--fused", "second"), "no pair has a fused image in each")


def test_constant_images_are_scored_or_told_as_undefined(fused):
    write_image("mean/day.png", np.full((49, 63), 0.5))
    result = run(*FOLDERS, "--fused", "mean", "--metrics", "sd,cc")
    assert result.exit_code == 0
    assert "cc is over the 2 of 3 pairs" in result.stdout and "sd is over" not in result.stdout
