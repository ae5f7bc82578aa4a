import numpy as np
import pytest

from sigforge.core.errors import ImageError, UserError
from sigforge.core.files import sha256_file
from sigforge.core.images import write_image
from sigforge.dataset.tables import Pair
from sigforge.methods.external.folder import FusedFolder


def pair(name, source="mine", size=(20, 24)):
    facts = (
        "mfif",
        "mfif",
        "train",
        f"somewhere/{name}.jpg",
        "other/x.jpg",
        "a" * 64,
        "b" * 64,
        *size,
        1,
        1,
        source,
        "",
    )
    return Pair(f"{source}-{name}", *facts)


@pytest.fixture
def folder(tmp_path):
    def fill(*names, size=(20, 24)):
        for name in names:
            write_image(tmp_path / name, np.full(size, 0.5))
        return tmp_path

    return fill


def test_files_are_found_by_pair_id_before_source_stem(folder):
    images = FusedFolder(folder("mine-one.png", "one.png", "two.png"), [pair("one"), pair("two")])
    assert images.find(pair("one")).name == "mine-one.png"
    assert images.find(pair("two")).name == "two.png"
    assert images.read(pair("two")).shape == (20, 24)


def test_what_belongs_to_no_pair_is_said(folder):
    path = folder("one.png", "three.png", ".hidden.png")
    (path / "notes.txt").write_text("")
    assert FusedFolder(path, [pair("one")]).unused == ["three"]


def test_a_stem_that_two_pairs_share_is_not_guessed(folder):
    images = FusedFolder(folder("one.png"), [pair("one", "mine"), pair("one", "yours")])
    with pytest.raises(ImageError, match="name it yours-one") as error:
        images.find(pair("one", "yours"))
    assert error.value.reason == "ambiguous_stem"


def test_two_files_for_one_pair_are_not_guessed(folder):
    path = folder("one.png")
    (path / "one.PNG").write_bytes((path / "one.png").read_bytes())
    with pytest.raises(ImageError, match="same stem"):
        FusedFolder(path, [pair("one")]).find(pair("one"))


@pytest.mark.parametrize(
    ("names", "size", "reason"), [((), (20, 24), "missing"), (("one.png",), (24, 20), "different_size")]
)
def test_missing_and_wrong_images(folder, names, size, reason):
    images = FusedFolder(folder(*names, size=size), [pair("one")])
    with pytest.raises(ImageError) as error:
        images.read(pair("one"))
    assert error.value.reason == reason
    assert reason != "different_size" or "is 20x24, but its sources are 24x20" in str(error.value)


def test_hashes_follow_the_file(folder):
    path = folder("one.png")
    images = FusedFolder(path, [pair("one"), pair("two")])
    assert images.hashes(pair("one")) == (sha256_file(path / "one.png"),) and images.hashes(pair("two")) == ()


def test_no_folder(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        FusedFolder(tmp_path / "none", [])


def test_the_published_results_of_mfifb_all_find_their_pair(realdata):
    names = sorted(path.stem for path in (realdata / "mfif/mfifb/near").iterdir())
    pairs = [pair(name, "mfifb") for name in names]
    for method in ("CNN", "GFF", "IFCNN"):
        images = FusedFolder(realdata / "mfif/mfifb_fused" / method, pairs)
        assert images.unused == [] and len({images.find(p) for p in pairs}) == 72
