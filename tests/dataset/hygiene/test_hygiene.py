"""What spoils a data set is found, named and graded; a clean one says nothing."""

import shutil

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from sigforge.cli.app import app
from sigforge.core.errors import UserError
from sigforge.core.images import write_image
from sigforge.dataset.hygiene.check import check_manifest
from sigforge.dataset.hygiene.facts import blocks_of, measure_pair
from sigforge.dataset.hygiene.findings import findings_of
from sigforge.dataset.sources import demo, scenes
from sigforge.dataset.sources.folders import PairCandidate, PhotoCandidate, check_pair, check_photo
from sigforge.dataset.tables import PAIRS, PHOTOS, write_table

SPLITS = ("train", "train", "val", "test")


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Four pairs of one folder, by number; (a_path, b_path)."""
    folder = tmp_path_factory.mktemp("clean")
    found = []
    for number, pair in enumerate(scenes.simulate("vif", 4, 128, 3)):
        paths = [folder / f"{side}/{number}.png" for side in "ab"]
        write_image(paths[0], pair.a)
        write_image(paths[1], pair.b)
        found.append(paths)
    return found


@pytest.fixture
def files(clean, tmp_path):
    for pair in clean:
        for path in pair:
            (tmp_path / path.parent.name).mkdir(exist_ok=True)
            shutil.copy(path, tmp_path / path.parent.name)
    return [[tmp_path / path.parent.name / path.name for path in pair] for pair in clean]


def pairs_of(files):
    made = []
    for number, (a, b) in enumerate(files):
        pair = check_pair(PairCandidate(f"p{number}", "vif", "vif", str(a), str(b), "s", "CC0"))
        made.append(type(pair)(**(vars(pair) | {"split": SPLITS[number % 4]})))
    return made


def found(files, photos=()):
    return findings_of([measure_pair(pair) for pair in pairs_of(files)], photos)


def checks(findings):
    return {(one.check, one.grade, one.pair_id, one.other) for one in findings}


def test_a_clean_set_says_nothing(files):
    assert checks(found(files)) == set()


def test_the_same_file_in_two_splits(files):
    shutil.copy(files[0][1], files[3][1])
    assert checks(found(files)) >= {("duplicate_across", "wrong", "p0", "p3")}
    shutil.copy(files[0][1], files[1][1])
    assert checks(found(files)) >= {("duplicate", "look", "p0", "p1")}


def test_the_same_picture_in_other_bytes(files):
    for side in (0, 1):
        image = cv2.imread(str(files[0][side]), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(files[2][side]), np.clip(image * 0.97, 0, 255).astype(np.uint8))
    assert ("near_duplicate_across", "wrong", "p0", "p2") in checks(found(files))


def test_a_pair_that_is_not_registered(files):
    image = cv2.imread(str(files[1][0]), cv2.IMREAD_UNCHANGED)
    move = np.array([[1, 0, 6], [0, 1, -3]], np.float32)
    cv2.imwrite(str(files[1][0]), cv2.warpAffine(image, move, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT))
    (finding,) = found(files)
    assert (finding.check, finding.pair_id) == ("unregistered", "p1") and finding.certainty > 0.25
    assert finding.value == pytest.approx(np.hypot(6, 3), abs=0.5) and "right 6." in finding.detail.replace("5.9", "6.")


def test_swapped_sources(files):
    files[2].reverse()
    assert ("sources_swapped", "wrong", "p2", "") in checks(found(files))


def test_a_margin(files):
    image = cv2.imread(str(files[0][1]), cv2.IMREAD_UNCHANGED)
    image[:5] = 0
    cv2.imwrite(str(files[0][1]), image)
    assert [(one.check, one.value) for one in found(files)] == [("border", 5.0)]


def test_a_png_that_was_a_jpeg(files):
    image = cv2.imread(str(files[0][1]), cv2.IMREAD_UNCHANGED)
    assert blocks_of(image[..., 1] / 255) < 0.03
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    cv2.imwrite(str(files[0][1]), cv2.imdecode(data, cv2.IMREAD_UNCHANGED))
    assert ("recompressed", "look", "p0", "") in checks(found(files))
    files[0][1].with_suffix(".jpg").write_bytes(data.tobytes())
    files[0][1] = files[0][1].with_suffix(".jpg")
    assert "recompressed" not in {one.check for one in found(files)}


def test_a_photograph_that_is_tested_on(files, tmp_path):
    write_image(tmp_path / "photos/x.png", cv2.imread(str(files[3][1]))[..., ::-1])
    other = next(iter(demo.photographs(1, 96, 5)))
    write_image(tmp_path / "photos/y.png", other.image)
    terms = ("s", "CC0", "", "x", True, True)
    photos = [check_photo(PhotoCandidate(name, str(tmp_path / f"photos/{name}.png"), *terms)) for name in "xy"]
    assert ("photo_leak", "wrong", "p3", "x") in checks(found(files, photos))
    write_table(photos, tmp_path / "photos.parquet", PHOTOS)
    write_table(pairs_of(files), tmp_path / "pairs.parquet", PAIRS)
    report = check_manifest(tmp_path / "pairs.parquet", tmp_path / "out", photos=tmp_path / "photos.parquet")
    assert any(one.check == "photo_leak" for one in report.findings)


def test_a_vanished_file_is_a_finding(files):
    pairs = pairs_of(files)
    files[1][0].unlink()
    (finding,) = findings_of([measure_pair(pair) for pair in pairs])
    assert (finding.check, finding.grade, finding.pair_id) == (
        "unreadable",
        "wrong",
        "p1",
    ) and "missing" in finding.detail


def test_the_command_writes_table_and_page(files, tmp_path, capsys):
    shutil.copy(files[0][1], files[3][1])
    write_table(pairs_of(files), tmp_path / "pairs.parquet", PAIRS)
    with pytest.raises(SystemExit) as exit_:
        app(["data", "check", str(tmp_path)])
    out = capsys.readouterr().out
    assert exit_.value.code == 1 and "duplicate_across" in out and "4 pairs" in out
    rows = pq.read_table(tmp_path / "hygiene/findings.parquet").to_pylist()
    assert {row["check"] for row in rows} >= {"duplicate_across"}
    page = (tmp_path / "hygiene/hygiene.html").read_text()
    assert page.count("data:image/png") == 8 and "duplicate_across" in page and "<script" not in page and "<svg" in page
    with pytest.raises(UserError, match="no such table"):
        check_manifest(tmp_path / "none.parquet", tmp_path)
