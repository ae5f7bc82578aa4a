"""One bad pair, and a table that must be complete all the same."""

import os

import pytest
import torch

from sigforge.core.errors import UserError
from sigforge.core.files import sha256_file
from sigforge.core.images import read_image
from sigforge.dataset.corpus import (
    CorpusEntry,
    CorpusFailure,
    check_cells,
    corpora,
    fused_by_all,
    read_corpus,
    read_failures,
    write_corpus,
    write_failures,
)
from sigforge.dataset.tables import read_pairs
from sigforge.methods import produce as recipes
from sigforge.methods.apply import fuse_batch, fuse_files


@pytest.fixture
def pairs(project):
    return read_pairs(project.data / "ingest/vif/pairs.parquet")


@pytest.fixture
def broken(project, pairs):
    """A pair whose infrared image was cut short after stage ingest had checked it."""
    pair = pairs[3]
    os.truncate(project.folder / pair.a_path, 100)
    for method in ("mean", "max"):
        (project.data / f"fuse/vif/{method}/{pair.pair_id}.png").unlink()
    return pair


def test_a_failing_pair_is_recorded_and_the_rest_goes_on(project, pairs, broken, capsys):
    (project.data / f"fuse/vif/mean/{pairs[5].pair_id}.png").unlink()
    project.call("fuse")
    for method in ("mean", "max"):
        folder = project.data / "fuse/vif" / method
        (failure,) = read_failures(folder)
        assert (failure.pair_id, failure.reason) == (broken.pair_id, "truncated")
        assert {e.pair_id for e in read_corpus(folder)} == {p.pair_id for p in pairs} - {broken.pair_id}
    assert (
        f"data/fuse/vif/max: 1 of 8 pairs not fused, see failures.parquet; {broken.pair_id}: "
        in capsys.readouterr().err
    )


def test_a_failing_pair_is_tried_again(project, broken):
    data = (project.folder / broken.b_path).read_bytes()
    project.call("fuse")
    (project.folder / broken.a_path).write_bytes(data)
    project.call("fuse")
    assert not (project.data / "fuse/vif/mean/failures.parquet").exists()
    assert broken.pair_id in {entry.pair_id for entry in read_corpus(project.data / "fuse/vif/mean")}


def test_the_pairs_that_all_have_are_what_a_complete_table_needs(project, pairs, capsys):
    fused = corpora(project.data / "fuse/vif")
    assert fused_by_all(pairs, fused) == pairs and capsys.readouterr().err == ""
    del fused["max"][pairs[1].pair_id]
    assert fused_by_all(pairs, fused) == [pair for pair in pairs if pair != pairs[1]]
    assert capsys.readouterr().err == "1 of 8 pairs left out: not fused by every method (max lacks 1)\n"
    with pytest.raises(UserError, match=r"no pair is fused by every method \(none lacks 8, max lacks 1\)"):
        fused_by_all(pairs, {"none": {}} | fused)


def test_every_cell_is_counted_once(project, pairs):
    root = project.data / "fuse/vif"
    assert check_cells(root, ["mean", "max"], pairs) == 0
    entries = read_corpus(root / "max")
    write_corpus(root / "max/corpus.parquet", entries[1:])
    with pytest.raises(UserError, match=f"pair '{entries[0].pair_id}' of method 'max' has neither image nor"):
        check_cells(root, ["mean", "max"], pairs)
    write_failures(root / "max/failures.parquet", [CorpusFailure(entries[0].pair_id, "truncated", "")])
    assert check_cells(root, ["mean", "max"], pairs) == 1
    write_corpus(root / "max/corpus.parquet", entries)
    with pytest.raises(UserError, match="of method 'max' has 2 entries"):
        check_cells(root, ["mean", "max"], pairs)
    write_failures(root / "max/failures.parquet", [])
    (root / f"mean/{pairs[0].pair_id}.png").unlink()
    with pytest.raises(UserError, match=f"pair '{pairs[0].pair_id}' of method 'mean' has neither image nor"):
        check_cells(root, ["mean", "max"], pairs)
    with pytest.raises(UserError, match="of method 'gff' has neither image nor"):
        check_cells(root, ["gff"], pairs)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, UserError])
def test_what_was_fused_before_an_end_is_kept(project, pairs, monkeypatch, stop):
    for path in (project.data / "fuse/vif/mean").iterdir():
        path.unlink()
    fuse_chunk, done = recipes._fuse_chunk, []

    def interrupted(chunk, **others):
        if done:
            raise stop("disk full")
        done.extend(fuse_chunk(chunk, **others))
        return done

    with monkeypatch.context() as patch, pytest.raises(stop):
        patch.setattr(recipes, "CHUNK", 3)
        patch.setattr(recipes, "_fuse_chunk", interrupted)
        project.call("fuse")
    before = project.written("fuse/vif/mean/*.png")
    assert len(before) == 3 and read_corpus(project.data / "fuse/vif/mean") == done
    project.call("fuse")
    after = project.written("fuse/vif/mean/*.png")
    assert len(after) == 8 and before.items() <= after.items()


@pytest.fixture
def writer(tmp_path):
    return recipes.CorpusWriter(tmp_path / "corpus", "mark")


@pytest.fixture
def absolute(project, pairs, monkeypatch):
    monkeypatch.chdir(project.folder)
    return pairs


def test_networks_get_batches_of_one_size(absolute, writer):
    """On a GPU; here the device is a CPU by another name."""
    sizes = []

    def fuse(a, b):
        sizes.append(tuple(a.shape))
        return (a + b) / 2

    odd = [pair if index % 3 else recipes.replace(pair, height=63) for index, pair in enumerate(absolute)]
    results = [r for batch in recipes._fuse_on_device(odd, fuse=fuse, device="cpu:0", writer=writer) for r in batch]
    assert sorted(size[0] for size in sizes) == [3, 5] and len(results) == 8
    assert all(isinstance(result, CorpusEntry) and result.fingerprint == "mark" for result in results)
    sizes.clear()
    list(recipes._fuse_on_device(absolute, fuse=fuse, device="cpu", writer=writer))
    assert [size[0] for size in sizes] == [1] * 8


def test_a_bad_pair_does_not_spoil_its_batch(absolute, writer, project):
    os.truncate(project.folder / absolute[2].a_path, 50)
    fuse = lambda a, b: torch.maximum(a, b)  # noqa: E731
    (results,) = recipes._fuse_on_device(absolute, fuse=fuse, device="cpu:0", writer=writer)
    assert {r.pair_id for r in results if isinstance(r, CorpusFailure)} == {absolute[2].pair_id}
    first = next(result for result in results if isinstance(result, CorpusEntry))
    assert sha256_file(writer.folder / f"{first.pair_id}.png") == first.sha256


def test_a_batch_gives_the_bytes_of_its_pairs_alone(absolute):
    fuse = lambda a, b: (a + b) / 2  # noqa: E731
    images = [(read_image(pair.a_path)[0], read_image(pair.b_path)[0]) for pair in absolute]
    for pair, image in zip(absolute, fuse_batch(fuse, images, "vif"), strict=True):
        assert (image == fuse_files(fuse, pair.a_path, pair.b_path, "vif")).all()
