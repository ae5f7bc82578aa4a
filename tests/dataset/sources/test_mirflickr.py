"""Generated files of the collection's layout: what their licences say, and what may be made of each photograph."""

import numpy as np
import pytest

from sigforge.core.errors import UserError
from sigforge.core.images import write_image
from sigforge.dataset.sources.folders import check_photo
from sigforge.dataset.sources.licences import creative_commons, read_terms
from sigforge.dataset.sources.mirflickr import author_of, mirflickr_photos
from sigforge.dataset.tables import Photo, Quarantined
from sigforge.synthesis.gates import Gates, refused_photos

KINDS = ("by", "by-sa", "by-nc", "by-nc-sa", "by-nd", "by-nc-nd")


@pytest.mark.parametrize("code", KINDS)
@pytest.mark.parametrize(
    "wording",
    [
        "http://creativecommons.org/licenses/{code}/2.0/deed.en",
        "License: {name} License\nhttps://creativecommons.org/licenses/{code}/2.0/",
        "license {name} 2.0 Generic",
        "{name} License",
        "CC {upper} 2.0",
        "cc-{code}",
        "Creative Commons {upper}",
        "License: {number}\nOwner: x",
    ],
)
def test_every_kind_in_every_wording(code, wording):
    names = {"by": "Attribution", "nc": "NonCommercial", "nd": "NoDerivs", "sa": "ShareAlike"}
    name = "-".join(names[part] for part in code.split("-"))
    number = {"by-nc-sa": 1, "by-nc": 2, "by-nc-nd": 3, "by": 4, "by-sa": 5, "by-nd": 6}[code]
    terms = read_terms("Title: a walk\n" + wording.format(code=code, name=name, upper=code.upper(), number=number))
    assert terms == creative_commons(code)
    assert terms.licence_url == f"https://creativecommons.org/licenses/{code}/2.0/"
    assert terms.allows_derivatives is ("nd" not in code) and terms.allows_commercial is ("nc" not in code)


@pytest.mark.parametrize(
    "long", ["Attribution-Noncommercial-No Derivative Works", "attribution, non-commercial, no derivatives"]
)
def test_other_spellings(long):
    assert read_terms(long).licence == "CC BY-NC-ND 2.0"
    assert read_terms("http://creativecommons.org/licenses/by-sa/3.0/").licence == "CC BY-SA 3.0"
    assert read_terms("CC BY_NC_SA").licence == "CC BY-NC-SA 2.0"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Title: sunset\nTags: nd, sa", "names no licence"),
        ("", "names no licence"),
        ("License: 7", "names no licence"),
        ("http://creativecommons.org/licenses/by/2.0/\nAttribution-NoDerivs", "several licences: by, by-nd"),
        ("CC BY 2.0, CC BY-NC 2.0", "several licences: by, by-nc"),
        ("All rights reserved\nCC BY 2.0", "several licences"),
    ],
)
def test_no_licence_is_guessed(text, words):
    with pytest.raises(UserError, match=words):
        read_terms(text)


def test_all_rights_reserved_is_an_answer():
    for text in ("© All rights reserved", "License: 0"):
        assert read_terms(text) == creative_commons("")
    assert not creative_commons("").allows_derivatives


@pytest.mark.parametrize(
    ("text", "author"),
    [
        ("Owner: Jane Doe", "Jane Doe"),
        ("owner name = Jane Doe \ntitle: x", "Jane Doe"),
        ("Photographer:\tJane", "Jane"),
        ("Author\nJane Doe\nTitle\nA walk", "Jane Doe"),
        ("http://www.flickr.com/photos/jane/42/ CC BY", "jane"),
        ("Username: Zoë\nhttp://flickr.com/photos/zoe/7", "Zoë (http://flickr.com/photos/zoe/7)"),
        ("Title: the owner of a dog", ""),
        ("Owner:", ""),
    ],
)
def test_who_is_credited(text, author):
    assert author_of(text) == author


@pytest.fixture
def collection(tmp_path):
    """Photographs 1 to 9: one of each kind, then without a file, without a licence, without an author."""
    rng = np.random.default_rng(0)
    licences = tmp_path / "meta/license"
    (tmp_path / "meta/tags").mkdir(parents=True)
    licences.mkdir()
    for n in range(1, 10):
        write_image(tmp_path / f"im{n}.png", rng.random((70, 80, 3)))
        (tmp_path / f"meta/tags/tags{n}.txt").write_text("sky\n")
    for n, code in enumerate(KINDS, start=1):
        text = (
            f"Owner: Zoë {n}\nhttp://www.flickr.com/photos/zoe/{n}\nhttp://creativecommons.org/licenses/{code}/2.0/\n"
        )
        (licences / f"license{n}.txt").write_bytes(text.encode("latin-1" if n % 2 else "utf-8"))
    (licences / "license8.txt").write_text("Owner: somebody\nTitle: none")
    (licences / "license9.txt").write_text("CC BY 2.0")
    return tmp_path


def test_each_photograph_has_its_own_terms(collection):
    found, left = mirflickr_photos(collection)
    assert [photo.photo_id for photo in found] == [f"mirflickr-im{n}" for n in range(1, 7)]
    assert [photo.licence for photo in found] == [f"CC {code.upper()} 2.0" for code in KINDS]
    assert found[2].author == "Zoë 3 (http://www.flickr.com/photos/zoe/3)" and not found[2].allows_commercial
    assert [(item.path[-7:], item.reason) for item in left] == [
        ("im7.png", "no_licence"),
        ("im8.png", "no_licence"),
        ("im9.png", "no_author"),
    ]
    assert all(isinstance(item, Quarantined) and "license" in item.detail for item in left)


def test_forbidden_derivatives_stop_at_the_gate(collection):
    photos = [check_photo(candidate) for candidate in mirflickr_photos(collection)[0]]
    assert all(isinstance(photo, Photo) for photo in photos)
    refused = refused_photos(photos, Gates())
    assert {photos[place].licence for place in refused} == {"CC BY-ND 2.0", "CC BY-NC-ND 2.0"}
    assert all("forbids changed copies" in verdict for verdict in refused.values())


def test_a_collection_that_is_not_whole(collection, tmp_path):
    assert len(mirflickr_photos(collection, limit=2)[0]) == 2
    for file in (collection / "meta/license").iterdir():
        file.unlink()
    with pytest.raises(
        UserError, match="meta/license: no licence files: unpack mirflickr25k.zip with its folder 'meta'"
    ):
        mirflickr_photos(collection)
    with pytest.raises(UserError, match="nowhere: no such folder"):
        mirflickr_photos(tmp_path / "nowhere")
