import os
import unicodedata

import numpy as np
import PIL.Image
import pytest

from sigforge.core.errors import UserError
from sigforge.core.images import read_image
from sigforge.dataset.contents import contents
from sigforge.dataset.sources.folders import check_pair, check_photo, pair_folders, photo_folder
from sigforge.dataset.tables import Pair, Photo, Quarantined

RNG = np.random.default_rng(0)
GBK = os.fsdecode("夜景".encode("gbk"))


def save(path, *shape, kind=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(RNG.integers(0, 256, shape or (70, 80), dtype=np.uint8)).save(path, kind)
    return path


def names(paths, folder):
    return [path.relative_to(folder).as_posix() for path in paths]


def pairs(tmp_path):
    return pair_folders(tmp_path / "ir", tmp_path / "vis", task="vif", subtask="vif", source="s", licence="CC0-1.0")


def test_what_systems_leave_is_passed_over_in_silence(tmp_path):
    save(tmp_path / "1.png")
    for name in (".DS_Store", "._1.png", "Thumbs.db", "desktop.ini", "1.png:Zone.Identifier"):
        (tmp_path / name).write_bytes(b"x")
    for folder in ("@eaDir", "__MACOSX", "$RECYCLE.BIN", "lost+found", ".thumbnails"):
        save(tmp_path / folder / "SYNOPHOTO_THUMB_XL.jpg")
    for deep in (False, True):
        found = contents(tmp_path, deep=deep)
        assert (names(found.images, tmp_path), found.left_out, found.notes) == (["1.png"], (), ())


def test_what_is_no_image_is_counted_and_other_formats_are_named(tmp_path):
    for name in ("1.png", "notes.txt", "list.csv", "b.txt", "old.heic", "raw.DNG"):
        (tmp_path / name).write_bytes(b"x")
    found = contents(tmp_path)
    assert names(found.images, tmp_path) == ["1.png"]
    assert [(item.path, item.reason) for item in found.left_out] == [
        (str(tmp_path / "old.heic"), "other_format"),
        (str(tmp_path / "raw.DNG"), "other_format"),
    ]
    (note,) = found.notes
    assert note.detail == "3 files are passed over as no images (.txt 2, .csv 1), e.g. b.txt"


@pytest.mark.parametrize(
    ("ending", "kind"), [("gif", "GIF"), ("jfif", "JPEG"), ("jpe", "JPEG"), ("pgm", "PPM"), ("dib", "BMP")]
)
def test_less_common_endings_are_read_where_the_content_is_an_image(tmp_path, ending, kind):
    path = save(tmp_path / f"1.{ending}", kind=kind)
    assert contents(tmp_path).images == (path,) and read_image(path)[1].height == 70
    path.write_text("no image")
    with pytest.raises(UserError, match="holds no image: put"):
        contents(tmp_path)


def test_images_one_folder_deeper_are_told_and_the_advice_works(tmp_path):
    save(tmp_path / "ir/Athena/1.bmp")
    save(tmp_path / "vis/Athena/1.bmp")
    with pytest.raises(UserError, match=r"ir: holds no image, but its sub-folders do \(Athena: 1\): give one of them"):
        pairs(tmp_path)
    found, _ = pair_folders(
        tmp_path / "ir/Athena", tmp_path / "vis/Athena", task="vif", subtask="vif", source="s", licence="x"
    )
    assert len(found) == 1
    save(tmp_path / "ir/1.bmp")
    (note,) = contents(tmp_path / "ir").notes
    assert note.reason == "sub_folders" and "Athena: 1" in note.detail


def test_only_formats_that_are_not_read(tmp_path):
    (tmp_path / "1.heic").write_bytes(b"x")
    with pytest.raises(
        UserError, match=r"holds no image that is read, but 1 of another format \(.heic\): save them as PNG"
    ):
        contents(tmp_path)


def test_linked_folders_are_read_once_and_loops_end(tmp_path):
    save(tmp_path / "photos/own/1.png")
    save(tmp_path / "store/2.png")
    (tmp_path / "photos/linked").symlink_to(tmp_path / "store")
    (tmp_path / "photos/a").symlink_to(tmp_path / "photos/own")  # sorts before the folder it repeats
    (tmp_path / "photos/own/loop").symlink_to(tmp_path / "photos")
    found = contents(tmp_path / "photos", deep=True)
    assert names(found.images, tmp_path / "photos") == ["linked/2.png", "own/1.png"]
    assert {note.reason for note in found.notes} == {"linked_again"} and len(found.notes) == 2
    photos = [check_photo(c) for c in photo_folder(tmp_path / "photos", source="s", licence="CC0-1.0")]
    assert len(photos) == 2 and all(isinstance(photo, Photo) for photo in photos)


def test_one_folder_for_both_sources(tmp_path):
    save(tmp_path / "ir/1.png")
    (tmp_path / "vis").symlink_to("ir")
    with pytest.raises(UserError, match="given for both sources, so each image would be fused with itself"):
        pairs(tmp_path)


def test_a_name_that_is_not_utf8_costs_its_pair_and_one_line(tmp_path):
    for side, shape in (("ir", (24, 32)), ("vis", (24, 32, 3))):
        save(tmp_path / side / "ok.png", *shape)
        save(tmp_path / side / f"{GBK}.png", *shape)
    results = [check_pair(candidate) for candidate in pairs(tmp_path)[0]]
    (bad,) = [result for result in results if isinstance(result, Quarantined)]
    assert bad.reason == "odd_name" and "convmv -f gbk" in bad.detail and bad.path.encode()
    assert len([result for result in results if isinstance(result, Pair)]) == 1
    for side in ("ir", "vis"):
        os.rename(tmp_path / side / f"{GBK}.png", tmp_path / side / "夜景.png")
    assert all(isinstance(check_pair(candidate), Pair) for candidate in pairs(tmp_path)[0])


def test_two_spellings_of_an_accented_letter_are_one_name(tmp_path):
    save(tmp_path / "ir" / (unicodedata.normalize("NFD", "café") + ".png"))
    save(tmp_path / "vis/café.png", 70, 80, 3)
    candidates, alone = pairs(tmp_path)
    assert len(candidates) == 1 and alone == [] and isinstance(check_pair(candidates[0]), Pair)


def test_the_true_reason_why_a_file_is_alone(tmp_path):
    for name in ("ir/1.png", "vis/1.png", "ir/half.png", "ir/Day.png", "vis/day.png"):
        save(tmp_path / name)
    (tmp_path / "vis/half.heic").write_bytes(b"x")
    details = {item.path.rpartition("/")[2]: item.detail for item in pairs(tmp_path)[1]}
    assert details["half.png"].endswith("holds no image with the stem 'half', but half.heic, which is not read")
    assert details["Day.png"].endswith("holds no image with the stem 'Day', but day.png: case matters")
    assert "half.heic" in details


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every folder")
def test_a_closed_folder_is_named(tmp_path):
    save(tmp_path / "1.png")
    save(tmp_path / "closed/2.png")
    (tmp_path / "closed").chmod(0)
    assert [item.reason for item in contents(tmp_path, deep=True).left_out] == ["unreadable_folder"]
