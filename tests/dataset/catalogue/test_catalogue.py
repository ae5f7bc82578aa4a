"""The catalogue is complete, and recognises what people have after unpacking."""

import itertools
import os
import subprocess
import time
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from sigforge.cli.app import app
from sigforge.core.errors import UserError
from sigforge.dataset.catalogue.entry import DownloadPlace, catalogue, entry_of, read_entry
from sigforge.dataset.catalogue.getting import get_dataset
from sigforge.dataset.catalogue.guess import guess_rules
from sigforge.dataset.catalogue.importing import import_dataset
from sigforge.dataset.catalogue.reading import read_dataset
from sigforge.dataset.catalogue.rules import find_scenes
from sigforge.dataset.sequences import read_sequences
from sigforge.dataset.tables import read_pairs, read_photos, read_quarantine

from ...servers import FileHandler, serving

REALDATA = Path(os.environ.get("SIGFORGE_REALDATA", Path(__file__).parents[4] / "shared/data"))
NAMES = {
    "msrs", "roadscene", "m3fd", "tno", "llvip", "flir-aligned", "kaist", "harvard", "realmff", "lytro", "mffw",
    "mfifb", "mfi-whu", "sice", "mefb", "mirflickr", "coco", "bsds500",
}  # fmt: skip


def image(path, seed, level=None, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
    if level is not None:
        pixels = pixels // 8 + np.uint8(level)
    PIL.Image.fromarray(pixels).convert(mode).save(path)


def tree(root, *names, mode="RGB"):
    for seed, name in enumerate(names):
        image(root / name, seed, mode=mode)
    return root


TREES = {
    "nested folders": ("msrs", ["x/MSRS-main/train/ir/00001D.png", "x/MSRS-main/train/vi/00001D.png"], "train"),
    "other folder": ("roadscene", ["crop/cropinfrared/FLIR_1.jpg", "crop/crop_HR_visible/FLIR_1.jpg"], ""),
    "suffixes": ("llvip", ["010001_ir.jpg", "010001_vi.jpg"], ""),
    "-A and -B": ("lytro", ["lytro-01-A.jpg", "lytro-01-B.jpg"], "test"),
    "IR1 and VIS1": ("tno", ["Test/IR1.png", "Test/VIS1.png", "Test/IR2.png", "Test/VIS2.png"], ""),
    "folder per scene": ("mfifb", ["input/books/books_A.jpg", "input/books/books_B.jpg"], "test"),
    "split above": ("llvip", ["infrared/train/010001.jpg", "visible/train/010001.jpg"], "train"),
    "upper-case endings": ("m3fd", ["M3FD_Fusion/Ir/00001.PNG", "M3FD_Fusion/Vis/00001.PNG"], ""),
    "sets of videos": ("kaist", ["set06/V000/lwir/I00001.jpg", "set06/V000/visible/I00001.jpg"], "test"),
    "two suffixes": ("realmff", ["imageA/012_A.png", "imageB/012_B.png"], ""),
    "two kinds of ending": ("flir-aligned", ["JPEGImages/FLIR_00001_PreviewData.jpeg", "JPEGImages/FLIR_00001_RGB.jpg"], ""),
    "numbered sources": ("mfi-whu", ["source_1/7.jpg", "source_2/7.jpg", "full_clear/7.jpg"], ""),
}  # fmt: skip


def test_every_data_set_has_its_facts():
    assert set(catalogue()) == NAMES
    for entry in catalogue().values():
        assert entry.home.startswith("http") and "@" in entry.citation and entry.licence and entry.sources
        assert entry.get.git or entry.get.url or entry.by_hand
    with pytest.raises(UserError, match="choose one of bsds500, coco"):
        entry_of("nothing")


def test_a_damaged_entry_is_one_line():
    with pytest.raises(UserError, match="x.yaml: not valid YAML"):
        read_entry("a: [", "x.yaml")
    with pytest.raises(UserError, match="x.yaml: key 'title'"):
        read_entry("name: x", "x.yaml")


@pytest.mark.parametrize(("name", "files", "split"), TREES.values(), ids=TREES)
def test_layouts_in_the_wild(tmp_path, name, files, split):
    read = read_dataset(entry_of(name), tree(tmp_path, *files))
    pairs = len(files) // 2
    assert len(read.pairs) == pairs and read.quarantined == ()
    assert [read.pairs[0].a_path, read.pairs[0].b_path] == [str(tmp_path / file) for file in files[:2]]
    assert set(read.splits.values()) == ({split} if split else set())


def test_exposures_make_a_pair_of_the_darkest_and_the_brightest(tmp_path):
    for number, level in zip(range(1, 10), (90, 10, 30, 50, 70, 200, 110, 130, 150), strict=True):
        image(tmp_path / f"Dataset_Part1/5/{number}.JPG", number, level)
    image(tmp_path / "Dataset_Part1/Label/5.JPG", 99)
    read = read_dataset(entry_of("sice"), tmp_path)
    (pair,) = read.pairs
    assert (Path(pair.a_path).name, Path(pair.b_path).name) == ("2.JPG", "6.JPG")
    assert any("1 pairs found, 589 published" in line for line in read.odd)
    report = import_dataset(entry_of("sice"), tmp_path, tmp_path / "out")
    (files,) = read_sequences(report.manifest.parent / "sequences.parquet").values()
    assert [Path(file).name for file in files] == [f"{n}.JPG" for n in (2, 3, 4, 5, 1, 7, 8, 9, 6)]


def test_gif_slices(tmp_path):
    root = tree(tmp_path / "in", "CT-MRI/CT/20001.gif", "CT-MRI/MRI/20001.GIF", mode="L")
    report = import_dataset(entry_of("harvard"), root, tmp_path / "out")
    (pair,) = read_pairs(report.manifest)
    assert pair.subtask == "mri-ct" and pair.a_path.endswith("CT/20001.gif")


def test_split_lists_are_applied_and_what_they_name_in_vain_is_told(tmp_path):
    files = [f"JPEGImages/FLIR_0000{n}_{side}.jpg" for n in range(3) for side in ("PreviewData", "RGB")]
    tree(tmp_path, *files)
    (tmp_path / "align_train.txt").write_text("FLIR_00000_PreviewData\nFLIR_00001_PreviewData\n")
    (tmp_path / "align_validation.txt").write_text("FLIR_00002_PreviewData\nFLIR_09999_PreviewData\n")
    read = read_dataset(entry_of("flir-aligned"), tmp_path)
    assert sorted(read.splits.values()) == ["test", "train", "train"]
    assert any("names 1 pairs that are not there, as 'FLIR_09999'" in line for line in read.odd)


def test_another_data_set_is_recognised(tmp_path):
    tree(tmp_path, "ir/FLIR_00006.jpg", "vis/FLIR_00006.jpg")
    with pytest.raises(UserError, match="not those of MSRS.*look like .*RoadScene"):
        read_dataset(entry_of("msrs"), tmp_path)
    with pytest.raises(UserError, match="no known layout of SICE fits.*sigforge data guess"):
        read_dataset(entry_of("sice"), tmp_path)
    for root in (tmp_path / "none", tmp_path / "empty"):
        with pytest.raises(UserError, match="no such folder|holds no image"):
            (tmp_path / "empty").mkdir(exist_ok=True)
            read_dataset(entry_of("msrs"), root)


def test_two_files_for_one_name_and_lonely_ones_are_left_out(tmp_path):
    tree(tmp_path, *(f"{side}/0000{n}D.png" for n in range(3) for side in ("ir", "vi")))
    image(tmp_path / "ir/00000D.jpg", 9)
    (tmp_path / "vi/00002D.png").unlink()
    report = import_dataset(entry_of("msrs"), tmp_path, tmp_path / "out")
    assert report.records == 1
    reasons = sorted(q.reason for q in read_quarantine(tmp_path / "out/quarantine.parquet"))
    assert reasons == ["ambiguous_stem", "ambiguous_stem", "no_partner", "no_partner"]


def test_published_splits_are_kept_and_validation_is_drawn_from_training(tmp_path):
    for split, count in (("train", 20), ("test", 5)):
        tree(tmp_path / split, *(f"{side}/{n:05d}D.png" for n in range(count) for side in ("ir", "vi")))
    for seed, path in enumerate(sorted(tmp_path.rglob("*.png"))):
        image(path, seed)
    report = import_dataset(entry_of("msrs"), tmp_path, tmp_path / "out", workers=1)
    assert report.splits == {"test": 5, "train": 18, "val": 2}
    tests = {pair.a_path for pair in read_pairs(report.manifest, "test")}
    assert all("/test/" in path for path in tests)


GUESSES = {
    "folders": ("{}/1.png {}/2.png {}/3.png", ("ir", "vis"), ("ir/{id}.*", "vis/{id}.*")),
    "suffix": ("x_{}.png y_{}.png z_{}.png", ("ir", "vis"), ("{id}_ir.*", "{id}_vis.*")),
    "prefix": ("{}1.png {}2.png {}12.png", ("IR", "VIS"), ("IR{id}.*", "VIS{id}.*")),
    "both": ("{0}/1_{0}.png {0}/2_{0}.png {0}/3_{0}.png", ("CT", "MRI"), ("CT/{id}_CT.*", "MRI/{id}_MRI.*")),
    "folder per scene": ("a1/{}.png b7/{}.png", ("near", "far"), ("{id}/near.*", "{id}/far.*")),
    "split below": ("{}/train/1.png {}/test/2.png {}/test/3.png", ("ir", "vis"), ("ir/{folder}/{id}.*", "vis/{folder}/{id}.*")),
    "split above": ("D/train/{}/1.png D/test/{}/2.png D/test/{}/3.png", ("ir", "vi"), ("ir/{id}.*", "vi/{id}.*")),
    "lytro": ("lytro-01-{}.jpg lytro-02-{}.jpg lytro-03-{}.jpg", ("A", "B"), ("lytro-{id}-A.*", "lytro-{id}-B.*")),
}  # fmt: skip


@pytest.mark.parametrize(("pattern", "sides", "rule"), GUESSES.values(), ids=GUESSES)
def test_unknown_layouts_are_guessed(pattern, sides, rule):
    files = [name.format(side) for name in pattern.split() for side in sides]
    best = guess_rules(files)[0]
    assert (best.rule.a, best.rule.b, best.scenes) == (*rule, len(files) // 2)
    found = find_scenes(files, [best.rule]).scenes
    assert sorted(itertools.chain(*(scene.files for scene in found))) == sorted(files)


def test_sequences_are_guessed():
    files = [f"scene{n}/{k}.jpg" for n in range(3) for k in range(1, 5)]
    rules = {guess.rule.scene: guess.scenes for guess in guess_rules(files)}
    assert rules.get("{id}/{n}.*") == 3


def test_many_files_are_listed_and_paired_quickly():
    """100,000 files in under a minute apart from decoding; here a fifth of them, on a busy machine."""
    files = [
        f"{split}/{side}/{n:06d}D.png" for split in ("train", "test") for side in ("ir", "vi") for n in range(5000)
    ]
    started = time.perf_counter()
    assert max(len(find_scenes(files, rules).scenes) for rules in entry_of("msrs").layouts) == 10000
    assert time.perf_counter() - started < 20


def test_a_git_repository_is_fetched_and_a_rerun_goes_on(tmp_path, monkeypatch):
    origin = tree(tmp_path / "origin", "cropinfrared/FLIR_1.jpg", "crop_HR_visible/FLIR_1.jpg")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(origin), *command], check=True)
    entry = entry_of("roadscene").model_copy(update={"get": DownloadPlace(git=str(origin))})
    away = entry_of("roadscene").model_copy(update={"get": DownloadPlace(git=str(tmp_path / "away"))})
    with pytest.raises(UserError, match="check network and address, then run again"):
        get_dataset(away, tmp_path / "here")
    subprocess.run(["git", "-C", str(tmp_path / ".here.part"), "remote", "set-url", "origin", str(origin)], check=True)
    assert str(origin) in get_dataset(entry, tmp_path / "here")
    assert len(read_dataset(entry, tmp_path / "here").pairs) == 1
    with pytest.raises(UserError, match="exists already"):
        get_dataset(entry, tmp_path / "here")


def test_an_archive_is_fetched_with_its_checksum(tmp_path):
    tree(tmp_path / "web/in", "val2017/000000000001.jpg")
    with zipfile.ZipFile(tmp_path / "web/val2017.zip", "w") as packed:
        packed.write(tmp_path / "web/in/val2017/000000000001.jpg", "val2017/000000000001.jpg")
    with serving(FileHandler, root=tmp_path / "web") as server:
        place = DownloadPlace(url=f"{server.url}/val2017.zip")
        entry = entry_of("coco").model_copy(update={"get": place})
        told = get_dataset(entry, tmp_path / "here")
        assert "nobody has published" in told
        assert len(read_dataset(entry, tmp_path / "here").photos) == 1
        wrong = entry.model_copy(update={"get": DownloadPlace(url=place.url, sha256="0" * 64)})
        with pytest.raises(UserError, match="is not the promised"):
            get_dataset(wrong, tmp_path / "other")
    with pytest.raises(UserError, match="cannot be fetched by a program"):
        get_dataset(entry_of("tno"), tmp_path / "x")


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        app([*map(str, arguments)])
    said = capsys.readouterr()
    return exit_.value.code, said.out, said.err


def test_commands(tmp_path, capsys):
    root = tree(tmp_path / "in", *(f"{side}/FLIR_{n}.jpg" for n in range(10, 14) for side in ("ir", "vis")))
    code, out, _ = run(capsys, "data", "list")
    assert code == 0 and all(name in out for name in NAMES)
    code, out, _ = run(capsys, "data", "show", "msrs")
    assert code == 0 and "1444 pairs" in out and "PIAFusion" in out and "not known" in out
    code, out, error = run(capsys, "data", "import", "roadscene", "--root", root, "--out", tmp_path / "out")
    assert code == 1 and "4 pairs of RoadScene" in out and "odd: RoadScene: 4 pairs found, 221 published" in error
    code, out, _ = run(capsys, "data", "guess", root)
    assert code == 0 and out.startswith("ir/{id}.* + vis/{id}.*: 4 pairs")
    rules = ("--a", "ir/{id}.*", "--b", "vis/{id}.*")
    code, out, _ = run(capsys, "data", "import", "mine", "--root", root, "--out", tmp_path / "own", *rules)
    assert code == 0 and len(read_pairs(tmp_path / "own/pairs.parquet")) == 4
    assert run(capsys, "data", "import", "msrs", "--root", root)[0] == 2
    assert "needs both --a and --b" in run(capsys, "data", "import", "x", "--root", root, "--a", "ir/{id}.*")[2]


REAL = {"roadscene": ("vif/roadscene", 221), "msrs": ("vif/msrs", 161), "harvard": ("mif", 723), "mfifb": ("mfif/mfifb", 72),
        "mefb": ("mef/mefb", 50)}  # fmt: skip


@pytest.mark.skipif(not REALDATA.is_dir(), reason="no real images: set SIGFORGE_REALDATA")
@pytest.mark.parametrize("name", REAL)
def test_real_data_sets(name):
    folder, pairs = REAL[name]
    read = read_dataset(entry_of(name), REALDATA / folder)
    assert len(read.pairs) == pairs and read.quarantined == ()
    assert len({pair.pair_id for pair in read.pairs}) == pairs


@pytest.mark.skipif(not REALDATA.is_dir(), reason="no real images: set SIGFORGE_REALDATA")
def test_real_photographs(tmp_path):
    report = import_dataset(
        entry_of("bsds500").model_copy(), _some(tmp_path, REALDATA / "natural/bsds500", 5), tmp_path / "o"
    )
    assert {photo.source for photo in read_photos(report.manifest)} == {"bsds500"}


def _some(folder, real, count):
    (folder / "some").mkdir()
    for path in sorted(real.iterdir())[:count]:
        (folder / "some" / path.name).symlink_to(path)
    return folder / "some"
