"""The stage ``synth``: crops, gates and attribution through params.yaml; what a run says; what a larger run keeps."""

import json
import signal
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from sigforge.core.images import read_image, write_image
from sigforge.dataset.hashes import phash
from sigforge.dataset.tables import PHOTOS, read_pairs, read_photos, write_table
from sigforge.shards.layout import shards_in
from sigforge.shards.pairs import read_rows
from sigforge.shards.verify import verify

MANIFEST = "ingest/photos/photos.parquet"


def facts(project):
    """The JSON member of every sample, by number."""
    found = {}
    for path in sorted((project.data / "synth/vif").glob("*.tar")):
        with tarfile.open(path) as tar:
            found |= {int(m.name[:9]): json.load(tar.extractfile(m)) for m in tar if m.name.endswith(".json")}
    return found


def rows(project):
    return [row for shard in shards_in(project.data / "synth/vif") for row in read_rows(shard)]


@pytest.fixture
def larger(project):
    """Twice as large photographs, of which several squares can be cut."""
    rng = np.random.default_rng(0)
    photos = []
    for photo in read_photos(project.data / MANIFEST):
        image = np.kron(read_image(project.folder / photo.path)[0], np.ones((2, 2, 1))) * 0.9
        write_image(project.folder / photo.path, image + 0.1 * rng.random(image.shape))
        photos.append(replace(photo, height=image.shape[0], width=image.shape[1]))
    write_table(photos, project.data / MANIFEST, PHOTOS)
    return project


def test_more_pairs_are_added_to_those_there_are(larger, capsys, until):
    """Eight photographs, three squares of each, cut at 20 pairs; killed half-way, begun again, and made smaller."""
    larger.call("synth")
    before, samples = larger.written("synth/vif/*-00000[01].*"), facts(larger)
    larger.set("synth.crops", 3)
    larger.set("synth.pairs", 20)
    process = larger.start("synth")
    until((larger.data / "synth/vif/vif-train-000003.json").exists, "the fourth shard")
    process.send_signal(signal.SIGKILL)
    process.wait()
    capsys.readouterr()
    larger.call("synth")
    said = capsys.readouterr()
    assert larger.written("synth/vif/*-00000[01].*") == before and "starting afresh" not in said.err
    assert verify(larger.data / "synth/vif") == [] and len(facts(larger)) == 20
    assert samples.items() <= facts(larger).items()
    assert [fact["crop"] for _, fact in sorted(facts(larger).items())] == [0] * 8 + [1] * 8 + [2] * 4
    boxes = {(fact["photo_id"], *fact["box"], fact["flip"]) for fact in facts(larger).values()}
    assert len(boxes) == 20 and all(fact["scale"] <= 1 for fact in facts(larger).values())
    assert "samples   20\n" in said.out
    undisturbed = larger.files("synth/vif/*.tar") | larger.files("synth/vif/*.parquet")
    for file in (larger.data / "synth/vif").iterdir():
        file.unlink()
    larger.call("synth")
    assert larger.files("synth/vif/*.tar") | larger.files("synth/vif/*.parquet") == undisturbed
    larger.set("synth.crops", 1)
    capsys.readouterr()
    larger.call("synth")
    said = capsys.readouterr().err
    assert "20 pairs asked for, but photographs and 'synth.crops' give 8: raise 'synth.crops'" in said
    assert said.count("belongs to a larger run; removed") == 4 and facts(larger) == samples


def test_every_gate_is_counted_and_told(project, capsys):
    photos = read_photos(project.data / MANIFEST)
    test_pair = read_pairs(project.data / "ingest/vif/pairs.parquet", "test")[0]
    seen = phash(read_image(project.folder / test_pair.b_path)[0])
    (project.folder / photos[5].path).write_bytes(b"")
    changed = [
        replace(photos[0], licence="CC BY-NC-ND 2.0", allows_derivatives=False),
        photos[1],
        replace(photos[2], phash=photos[1].phash),
        replace(photos[3], phash=seen),
        *photos[4:],
    ]
    write_table(changed, project.data / MANIFEST, PHOTOS)
    project.set("synth.gates", {"evaluation_bits": 0})
    project.call("synth")
    said, made = capsys.readouterr(), rows(project)
    assert [(row["reason"] or "ok").split(":")[0] for row in made[:6]] == [
        "licence",
        "ok",
        "duplicate",
        "evaluation",
        "ok",
        "empty",
    ]
    for reason in ("licence", "duplicate", "evaluation", "empty"):
        assert f"  {reason:<10}  1\n" in said.out
    assert "failures      4\n" in said.out and "samples       4\n" in said.out
    assert "photographs without a pair: 1 duplicate, 1 empty, 1 evaluation, 1 licence; see" in said.err
    assert "synth@vif: 8/8 (100 %)" in said.err and "4 failed" in said.err


def test_attribution_travels_with_every_sample(finished):
    photos = {photo.photo_id: photo for photo in read_photos(finished.data / MANIFEST)}
    samples = facts(finished)
    assert len(samples) == len(photos) == 8
    for fact in samples.values():
        photo = photos[fact["photo_id"]]
        assert photo.author and fact["attribution"] == f"{photo.author}, {photo.source}"
        assert (fact["licence"], fact["licence_url"]) == (photo.licence, photo.licence_url)
        assert fact["photo_sha256"] == photo.sha256
    kinds = [{name: type(value) for name, value in fact.items()} for fact in samples.values()]
    assert all(kind == kinds[0] for kind in kinds), "other loaders take the types from the first sample"
