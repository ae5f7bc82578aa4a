"""Fusing only what is missing."""

import re

import pytest

from sigforge.core.files import sha256_file
from sigforge.core.images import read_image, write_image
from sigforge.dataset.corpus import read_corpus
from sigforge.dataset.tables import read_pairs

IMAGES = "fuse/vif/*/*.png"


@pytest.fixture
def images(project):
    """What was fused anew since: method to pair ids."""
    before = project.written(IMAGES)

    def fused():
        now = project.written(IMAGES)
        changed = [name.split("/")[2:] for name in now if now[name] != before.get(name)]
        return {method: {image[:-4] for owner, image in changed if owner == method} for method, _ in changed}

    return fused


def pairs_of(project):
    return {pair.pair_id for pair in read_pairs(project.data / "ingest/vif/pairs.parquet")}


def test_nothing_changed(project, images, capsys):
    tables = project.files("fuse/vif/*/*.parquet")
    capsys.readouterr()
    project.call("fuse")
    assert images() == {} and project.files("fuse/vif/*/*.parquet") == tables
    told = capsys.readouterr().err  # no rate: what is found says nothing of the speed
    assert re.search(r"fuse@vif: (\d+)/\1 \(100 %\), \d+:\d\d spent", told)


def test_a_new_method_is_fused_alone(project, images, capsys):
    project.set("fuse.vif", {"mean": {}, "laplacian": {"levels": 3}, "max": {}})
    project.call("fuse")
    assert images() == {"laplacian": pairs_of(project)}
    images_before = project.written(IMAGES)
    project.set("fuse.vif", {"mean": {}, "laplacian": {"levels": 2}, "max": {}})
    capsys.readouterr()
    project.call("fuse")
    assert images() == {"laplacian": pairs_of(project)}
    touched = {name for name, stamp in project.written(IMAGES).items() if stamp != images_before[name]}
    assert touched == {name for name in images_before if "/laplacian/" in name}
    said = capsys.readouterr().err
    assert said.count("starting afresh") == 1 and "data/fuse/vif/laplacian: made with other parameters" in said


def test_a_method_taken_away_goes_with_its_images(project, images):
    project.set("fuse.vif", {"mean": {}})
    project.call("fuse")
    assert images() == {} and [path.name for path in (project.data / "fuse/vif").iterdir()] == ["mean"]


def test_a_new_pair_is_fused_alone(project, images):
    old = pairs_of(project)
    project.set("ingest.vif.sources", [{"kind": "demo", "count": 9, "size": 64}])
    project.call("ingest")
    (new,) = pairs_of(project) - old
    assert old < pairs_of(project)
    project.call("fuse")
    assert images() == {"mean": {new}, "max": {new}}
    assert {entry.pair_id for entry in read_corpus(project.data / "fuse/vif/max")} == old | {new}


def test_a_pair_that_left_takes_its_images_along(project, images):
    project.set("ingest.vif.sources", [{"kind": "demo", "count": 7, "size": 64}])
    project.call("ingest")
    project.call("fuse")
    assert images() == {}
    assert {path.stem for path in (project.data / "fuse/vif/mean").glob("*.png")} == pairs_of(project)
    assert {entry.pair_id for entry in read_corpus(project.data / "fuse/vif/mean")} == pairs_of(project)


def test_a_changed_source_is_fused_again(project):
    pair = read_pairs(project.data / "ingest/vif/pairs.parquet")[2]
    source = project.folder / "mine"
    for other in read_pairs(project.data / "ingest/vif/pairs.parquet"):
        for side, path in (("a", other.a_path), ("b", other.b_path)):
            write_image(source / side / f"{other.pair_id}.png", read_image(project.folder / path)[0])
    project.set(
        "ingest.vif.sources", [{"kind": "folders", "name": "mine", "subtask": "vif", "a": "mine/a", "b": "mine/b"}]
    )
    project.call("ingest")
    project.call("fuse")
    before = project.written(IMAGES)
    path = source / "a" / f"{pair.pair_id}.png"
    write_image(path, 1 - read_image(path)[0])
    project.call("ingest")
    project.call("fuse")
    changed = {name.split("/")[-1] for name, stamp in project.written(IMAGES).items() if stamp != before[name]}
    assert changed == {f"mine-{pair.pair_id}.png"}


def test_a_lost_image_is_fused_again(project, images):
    path = next((project.data / "fuse/vif/mean").glob("*.png"))
    data = path.read_bytes()
    path.unlink()
    project.call("fuse")
    assert images() == {"mean": {path.stem}} and path.read_bytes() == data


def test_the_table_names_every_image_by_its_bytes(project):
    for method in ("mean", "max"):
        folder = project.data / "fuse/vif" / method
        entries = read_corpus(folder)
        assert {entry.pair_id: entry.sha256 for entry in entries} == {
            p.stem: sha256_file(p) for p in folder.glob("*.png")
        }
        assert len({entry.fingerprint for entry in entries}) == 1
