import dataclasses
import os
import pickle
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from sigforge.core.errors import UserError
from sigforge.core.files import sha256_file
from sigforge.core.images import encode_png, read_image
from sigforge.dataset.hashes import phash
from sigforge.dataset.sources.folders import (
    PairCandidate,
    check_pair,
    check_photo,
    drop_duplicates,
    pair_folders,
    photo_folder,
    safe_id,
)
from sigforge.dataset.tables import PAIRS, Pair, Photo, Quarantined, read_pairs, write_table

REALDATA = Path(os.environ.get("SIGFORGE_REALDATA", Path(__file__).parents[3] / "../shared/data"))
RNG = np.random.default_rng(0)


def picture(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def save(path, array=None):
    """Write an image in the format its extension names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(picture(24, 32) if array is None else array).save(path)
    return path


def folders(tmp_path, a, b):
    for name in a:
        save(tmp_path / "ir" / name)
    for name in b:
        save(tmp_path / "vis" / name, picture(24, 32, 3))
    return tmp_path / "ir", tmp_path / "vis"


def listed(a_dir, b_dir, **changes):
    options = {"task": "vif", "subtask": "vif", "source": "road", "licence": "CC0-1.0"} | changes
    return pair_folders(a_dir, b_dir, **options)


def candidate(tmp_path, a, b):
    """A candidate whose files hold the arrays, or the bytes, given."""
    paths = []
    for side, content in (("a", a), ("b", b)):
        paths.append(tmp_path / f"{side}.png")
        if content is not None:
            paths[-1].write_bytes(content if isinstance(content, bytes) else encode_png(content))
    return PairCandidate("road-x", "vif", "vif", str(paths[0]), str(paths[1]), "road", "CC0-1.0")


def test_pairs_match_by_stem_whatever_the_extension(tmp_path):
    names = ["b.PNG", "a.jpg", "c.TIFF", "d.bmp"], ["a.webp", "b.tif", "c.jpeg", "d.Png"]
    a_dir, b_dir = folders(tmp_path, *names)
    candidates, left_over = listed(a_dir, b_dir)
    assert left_over == []
    assert [c.pair_id for c in candidates] == ["road-a", "road-b", "road-c", "road-d"]
    assert candidates[0] == PairCandidate(
        "road-a", "vif", "vif", str(a_dir / "a.jpg"), str(b_dir / "a.webp"), "road", "CC0-1.0"
    )
    assert all(isinstance(check_pair(c), Pair) for c in candidates)
    assert listed(a_dir, b_dir, limit=2)[0] == candidates[:2]


def test_left_over_files_are_quarantined(tmp_path):
    a_dir, b_dir = folders(
        tmp_path, ["1.png", "2.png", "2.jpg", "3.png", "x.png"], ["1.png", "2.png", "X.png", "4.bmp"]
    )
    candidates, left_over = listed(a_dir, b_dir)
    assert [c.pair_id for c in candidates] == ["road-1"]
    found = {(Path(q.path).relative_to(tmp_path).as_posix(), q.stage, q.reason) for q in left_over}
    assert found == {
        ("ir/2.png", "ingest", "ambiguous_stem"),
        ("ir/2.jpg", "ingest", "ambiguous_stem"),
        ("ir/3.png", "ingest", "no_partner"),
        ("ir/x.png", "ingest", "no_partner"),
        ("vis/2.png", "ingest", "no_partner"),
        ("vis/X.png", "ingest", "no_partner"),
        ("vis/4.bmp", "ingest", "no_partner"),
    }
    details = {Path(q.path).relative_to(tmp_path).as_posix(): q.detail for q in left_over}
    assert details["ir/2.png"] == "2.jpg, 2.png share a stem: keep one"
    assert details["vis/2.png"] == f"{a_dir} holds several images (2.jpg, 2.png) with the stem '2'"
    assert details["ir/3.png"] == f"{b_dir} holds no image with the stem '3'"


def test_hidden_files_other_files_and_folders_are_passed_over(tmp_path):
    a_dir, b_dir = folders(tmp_path, ["1.png", ".1.jpg", ".2.png"], ["1.png"])
    (a_dir / "1.txt").write_text("notes")
    (a_dir / "1.gif").write_text("no image either")
    (a_dir / "1.tif").mkdir()
    candidates, left_over = listed(a_dir, b_dir)
    assert len(candidates) == 1 and left_over == []


def test_missing_and_empty_folders(tmp_path):
    a_dir, b_dir = folders(tmp_path, ["1.png"], ["1.png"])
    with pytest.raises(UserError, match=r"nowhere: no such folder: correct the path in params.yaml"):
        listed(a_dir, tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"1.png: no such folder"):
        listed(a_dir / "1.png", b_dir)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: holds no image: put .bmp, .jpeg, .jpg"):
        listed(tmp_path / "empty", b_dir)


def test_no_shared_stem_names_both_folders_and_examples(tmp_path):
    a_dir, b_dir = folders(tmp_path, ["ir_1.png", "ir_2.png"], ["vis_1.png"])
    with pytest.raises(UserError) as caught:
        listed(a_dir, b_dir)
    assert str(caught.value) == (
        f"{a_dir} (ir_1, ir_2, ...) and {b_dir} (vis_1, ...) share no file stem: "
        "give the two images of a pair the same name"
    )


def test_unknown_subtask_is_noticed_before_any_file_is_read(tmp_path):
    with pytest.raises(UserError, match="choose one of mri-ct"):
        listed(tmp_path / "none", tmp_path / "none", task="mif", subtask="vif")


def test_good_pair_becomes_a_row(tmp_path):
    grey, colour = picture(24, 32), picture(24, 32, 3)
    good = candidate(tmp_path, grey, colour)
    assert check_pair(good) == Pair(
        pair_id="road-x",
        task="vif",
        subtask="vif",
        split="",
        a_path=good.a_path,
        b_path=good.b_path,
        a_sha256=sha256_file(good.a_path),
        b_sha256=sha256_file(good.b_path),
        height=24,
        width=32,
        a_channels=1,
        b_channels=3,
        source="road",
        licence="CC0-1.0",
    )


GREY = picture(24, 32)


@pytest.mark.parametrize(
    ("a", "b", "reason", "side"),
    [
        (None, GREY, "missing", "a"),
        (GREY, b"", "empty", "b"),
        (GREY, b"just words", "not_an_image", "b"),
        (encode_png(GREY)[:-40], GREY, "truncated", "a"),
        (picture(15, 32), GREY, "too_small", "a"),
        (np.full((24, 32), 7, np.uint8), GREY, "constant", "a"),
        (GREY, np.full((24, 32, 3), [1, 2, 3], np.uint8), "constant", "b"),
        (GREY, picture(24, 33), "different_size", "a"),
        (GREY, GREY, "same_image", "a"),
        (GREY, np.stack([GREY] * 3, -1), "same_image", "a"),
        (GREY, (encode_png(GREY) + b"trailing bytes"), "same_image", "a"),
    ],
)
def test_bad_pair_is_quarantined_with_its_reason(tmp_path, a, b, reason, side):
    bad = check_pair(candidate(tmp_path, a, b))
    assert isinstance(bad, Quarantined)
    assert (bad.path, bad.stage, bad.reason) == (str(tmp_path / f"{side}.png"), "ingest", reason)
    assert bad.detail and "\n" not in bad.detail


def test_different_sizes_are_both_named(tmp_path):
    bad = check_pair(candidate(tmp_path, picture(24, 32), picture(30, 40, 3)))
    assert bad.detail == f"is 32x24, but {tmp_path}/b.png is 40x30 (width x height)"


def test_one_changed_pixel_is_another_image(tmp_path):
    other = GREY.copy()
    other[3, 4] ^= 1
    assert isinstance(check_pair(candidate(tmp_path, GREY, other)), Pair)


def test_smallest_side_is_an_option(tmp_path):
    small = candidate(tmp_path, picture(8, 9), picture(8, 9))
    assert check_pair(small).reason == "too_small" and isinstance(check_pair(small, min_side=8), Pair)


def test_dangling_link_is_quarantined(tmp_path):
    a_dir, b_dir = folders(tmp_path, ["1.png"], ["1.png", "2.png"])
    (a_dir / "2.png").symlink_to(tmp_path / "gone.png")
    candidates, _ = listed(a_dir, b_dir)
    assert [getattr(check_pair(c), "reason", None) for c in candidates] == [None, "missing"]


def test_checking_travels_between_workers_and_keeps_its_results(tmp_path):
    a_dir, b_dir = folders(tmp_path, [f"{n}.png" for n in range(6)], [f"{n}.jpg" for n in range(6)])
    candidates, _ = listed(a_dir, b_dir)
    alone = [check_pair(c) for c in candidates]
    work = pickle.loads(pickle.dumps(check_pair))
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(work, pickle.loads(pickle.dumps(candidates)))) == alone
    assert pickle.loads(pickle.dumps(alone)) == alone


def test_duplicate_pairs_keep_the_first_by_id(tmp_path):
    first = check_pair(candidate(tmp_path, GREY, picture(24, 32)))
    again = dataclasses.replace(first, pair_id="road-y", a_path="y.png")
    swapped = dataclasses.replace(first, pair_id="road-z", a_sha256=first.b_sha256, b_sha256=first.a_sha256)
    kept, dropped = drop_duplicates([again, swapped, first])
    assert kept == [first, swapped]
    assert dropped == [Quarantined("y.png", "ingest", "duplicate_pair", "road-y repeats road-x byte by byte")]


def test_candidates_to_manifest(tmp_path):
    a_dir, b_dir = folders(tmp_path, [f"{n} é.png" for n in range(4)], [f"{n} é.png" for n in range(4)])
    pairs = [check_pair(c) for c in listed(a_dir, b_dir)[0]]
    write_table(pairs, tmp_path / "pairs.parquet", PAIRS)
    back = read_pairs(tmp_path / "pairs.parquet")
    assert back == sorted(pairs, key=lambda pair: pair.pair_id)
    assert all(Path(pair.a_path).exists() for pair in back)


@pytest.mark.parametrize("name", ["FLIR_00006", "a.b-c_d", "x" * 90])
def test_safe_names_stay(name):
    assert safe_id("road", name) == f"road-{name}"


def test_unsafe_names_are_changed_and_stay_apart():
    names = ["a b", "a_b", "a/b", "a\\b", "a:b", "a\nb", "a?b", "é", "è", "x" * 300, "x" * 301, "..", "日本"]
    made = [safe_id("road", name) for name in names]
    assert len(set(made)) == len(names)
    assert all(len(name) <= 110 and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-") for name in made)
    assert made == [safe_id("road", name) for name in names]
    assert safe_id("..", "x")[0] != "."


def photos(tmp_path, **changes):
    return photo_folder(tmp_path, **{"source": "web", "licence": "CC-BY-4.0"} | changes)


def test_photographs_are_listed_with_their_terms(tmp_path):
    for name in ("b.png", "deep/er/a.JPG", "a.jpg", ".hidden/c.png", ".d.png"):
        save(tmp_path / name, picture(70, 80, 3))
    (tmp_path / "notes.txt").write_text("x")
    terms = {"licence_url": "https://example.org/by", "author": "A. Nother", "allows_derivatives": True}
    candidates = photos(tmp_path, **terms)
    assert [Path(c.path).relative_to(tmp_path).as_posix() for c in candidates] == ["a.jpg", "b.png", "deep/er/a.JPG"]
    assert [c.photo_id for c in candidates][:2] == ["web-a", "web-b"]
    assert photos(tmp_path, limit=1, **terms) == candidates[:1]
    checked = check_photo(candidates[1])
    pixels, _ = read_image(tmp_path / "b.png")
    assert checked == Photo(
        photo_id="web-b",
        path=str(tmp_path / "b.png"),
        sha256=sha256_file(tmp_path / "b.png"),
        phash=phash(pixels),
        height=70,
        width=80,
        channels=3,
        source="web",
        licence="CC-BY-4.0",
        licence_url="https://example.org/by",
        author="A. Nother",
        allows_derivatives=True,
        allows_commercial=False,
    )


def test_photographs_that_share_a_stem_keep_their_extension(tmp_path):
    for name in ("a.png", "a.jpg", "b.png", "a/a.png"):
        save(tmp_path / name, picture(70, 80))
    made = [c.photo_id for c in photos(tmp_path)]
    assert len(set(made)) == 4 and {"web-a.jpg", "web-a.png", "web-b"} < set(made)


def test_bad_photographs_are_quarantined_and_the_rest_goes_on(tmp_path):
    save(tmp_path / "good.png", picture(64, 64))
    save(tmp_path / "small.png", picture(63, 64))
    save(tmp_path / "flat.png", np.full((64, 64, 3), 9, np.uint8))
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:500])
    (tmp_path / "twin.png").write_bytes((tmp_path / "good.png").read_bytes())
    (tmp_path / "text.jpg").write_text("words")
    checked = [check_photo(c) for c in photos(tmp_path)]
    kept, doubles = drop_duplicates(record for record in checked if isinstance(record, Photo))
    bad = {Path(q.path).name: q.reason for q in [*checked, *doubles] if isinstance(q, Quarantined)}
    assert [photo.photo_id for photo in kept] == ["web-good"]
    assert bad == {
        "small.png": "too_small",
        "flat.png": "constant",
        "cut.png": "truncated",
        "text.jpg": "not_an_image",
        "twin.png": "duplicate_photo",
    }


def test_photo_folder_must_exist_and_hold_something(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        photos(tmp_path / "none")
    with pytest.raises(UserError, match="holds no image"):
        photos(tmp_path)


@pytest.mark.skipif(not REALDATA.is_dir(), reason=f"no real images at {REALDATA} (set SIGFORGE_REALDATA)")
def test_real_pairs():
    root = REALDATA / "mfif/mfifb"
    candidates, left_over = listed(root / "near", root / "far", task="mfif", subtask="mfif", source="mfifb")
    checked = [check_pair(c) for c in candidates]
    assert left_over == [] and len(checked) == 72 and all(isinstance(record, Pair) for record in checked)
    kept, doubles = drop_duplicates(checked)
    assert (len(kept), [q.reason for q in doubles]) == (71, ["duplicate_pair"])  # savic_18 lies there twice
    assert Counter(pair.a_channels for pair in kept) == {3: 45, 1: 26}
