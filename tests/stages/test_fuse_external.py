"""Corpora from outside: folders, network files and programs, through the stage."""

import contextlib
import os
import shutil
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from sigforge.config.load import load_params
from sigforge.core.errors import UserError
from sigforge.core.files import sha256_file
from sigforge.core.images import read_image, write_image
from sigforge.dataset.corpus import corpora, read_corpus, read_failures
from sigforge.dataset.tables import read_pairs
from sigforge.methods.published.method import PublishedMethod, Weights
from sigforge.methods.registry import METHODS
from sigforge.stages._base import StageContext
from sigforge.stages.fuse import run
from sigforge.tracking import StageRun

TOOL = """
import shutil, sys
from pathlib import Path
a, b, out = map(Path, sys.argv[1:4])
skip, code = sys.argv[4].split(","), int(sys.argv[5])
print("given", len(list(a.iterdir())))
for file in sorted(a.iterdir()):
    if file.stem not in skip:
        shutil.copy(file, out / file.name)
sys.exit(code)
"""


@pytest.fixture
def fuse(project):
    """Run the stage with these methods beside ``mean``."""

    def call(**methods):
        params = load_params(project.folder / "params.yaml")
        wanted = params.fuse.model_copy(update={"vif": {"mean": {}, **methods}})
        context = StageContext("fuse", "vif", params.model_copy(update={"fuse": wanted}), StageRun())
        with contextlib.chdir(project.folder):
            run(context)

    return call


@pytest.fixture
def pairs(project):
    return read_pairs(project.data / "ingest/vif/pairs.parquet")


@pytest.fixture
def elsewhere(project, pairs):
    """A folder of fused images made elsewhere: the first source of every pair."""
    for pair in pairs:
        write_image(project.folder / "elsewhere" / f"{pair.pair_id}.png", read_image(project.folder / pair.a_path)[0])
    return project.folder / "elsewhere"


@pytest.fixture
def tool(project):
    """Options of a command that leaves out some pairs and ends with a code."""
    (project.folder / "tool.py").write_text(TOOL)

    def options(skip=(), code=0, **others):
        command = f"{sys.executable} tool.py {{a}} {{b}} {{out}} ,{','.join(skip)} {code}"
        return {"external": "command", "command": command, **others}

    return options


def ids(rows):
    return {row.pair_id for row in rows}


FOLDER = {"external": "folder", "path": "elsewhere"}


def test_a_folder_becomes_a_corpus_like_any_other(fuse, project, pairs, elsewhere):
    fuse(cnn=FOLDER)
    corpus = project.data / "fuse/vif/cnn"
    assert set(corpora(project.data / "fuse/vif")) == {"mean", "cnn"}
    assert {e.pair_id: e.sha256 for e in read_corpus(corpus)} == {
        p.pair_id: sha256_file(corpus / f"{p.pair_id}.png") for p in pairs
    }
    for pair in pairs:
        np.testing.assert_array_equal(
            read_image(corpus / f"{pair.pair_id}.png")[0], read_image(elsewhere / f"{pair.pair_id}.png")[0]
        )


def test_only_a_changed_image_is_taken_again(fuse, project, pairs, elsewhere):
    fuse(cnn=FOLDER)
    before = project.written("fuse/vif/cnn/*.png")
    changed = f"{pairs[2].pair_id}.png"
    write_image(elsewhere / changed, 1 - read_image(elsewhere / changed)[0])
    fuse(cnn=FOLDER)
    after = project.written("fuse/vif/cnn/*.png")
    assert [name for name in after if after[name] != before[name]] == [f"fuse/vif/cnn/{changed}"]


def test_what_is_missing_or_wrong_is_recorded_and_mended(fuse, project, pairs, elsewhere, capsys):
    gone, wrong, extra = (pairs[0].pair_id, pairs[1].pair_id, "another")
    kept = shutil.copy(elsewhere / f"{gone}.png", project.folder)
    good = (elsewhere / f"{wrong}.png").read_bytes()
    (elsewhere / f"{gone}.png").unlink()
    write_image(elsewhere / f"{wrong}.png", np.full((7, 9), 0.5))
    write_image(elsewhere / f"{extra}.png", np.full((7, 9), 0.5))
    fuse(cnn=FOLDER)
    corpus = project.data / "fuse/vif/cnn"
    assert {f.pair_id: f.reason for f in read_failures(corpus)} == {gone: "missing", wrong: "different_size"}
    assert ids(read_corpus(corpus)) == ids(pairs) - {gone, wrong}
    said = capsys.readouterr().err
    assert (
        "1 images belong to no pair, e.g. another" in said
        and f"2 of {len(pairs)} pairs not fused, see failures.parquet" in said
    )
    shutil.copy(kept, elsewhere)
    (elsewhere / f"{wrong}.png").write_bytes(good)
    fuse(cnn=FOLDER)
    assert ids(read_corpus(corpus)) == ids(pairs) and not (corpus / "failures.parquet").exists()


def test_a_network_file_becomes_a_corpus(fuse, project, pairs):
    class Least(torch.nn.Module):
        def forward(self, a, b):
            return torch.minimum(a, b)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Least(), (torch.rand(1, 1, 8, 8),) * 2).save(project.folder / "least.pt")
    fuse(least={"external": "model", "path": "least.pt"})
    assert ids(read_corpus(project.data / "fuse/vif/least")) == ids(pairs)
    pair = pairs[0]
    grey = read_image(project.folder / pair.a_path)[0]
    assert read_image(project.data / f"fuse/vif/least/{pair.pair_id}.png")[0].shape[:2] == grey.shape[:2]
    before = project.written("fuse/vif/least/*.png")
    fuse(least={"external": "model", "path": "least.pt"})
    assert project.written("fuse/vif/least/*.png") == before


def test_a_command_becomes_a_corpus_in_batches(fuse, project, pairs, tool):
    fuse(tool=tool(batch=3))
    corpus = project.data / "fuse/vif/tool"
    assert ids(read_corpus(corpus)) == ids(pairs) and all(entry.seconds > 0 for entry in read_corpus(corpus))
    assert [line for line in (corpus / "command.log").read_text().splitlines() if line.startswith("given")] == [
        "given 3",
        "given 3",
        "given 2",
    ]
    os.unlink(corpus / f"{pairs[4].pair_id}.png")
    fuse(tool=tool(batch=3))
    assert (corpus / "command.log").read_text().rstrip().splitlines()[-2:] == ["given 1", "# finished"]


@pytest.mark.parametrize(("code", "reason"), [(0, "missing"), (5, "command_failed")])
def test_pairs_that_a_command_does_not_deliver_are_recorded(code, reason, fuse, project, pairs, tool):
    skipped = pairs[3].pair_id
    fuse(tool=tool([skipped], code))
    (failure,) = read_failures(project.data / "fuse/vif/tool")
    assert (failure.pair_id, failure.reason) == (skipped, reason)
    assert "/tmp" not in failure.detail.replace(str(project.folder), "")
    assert code == 0 or "exit code 5; see data/fuse/vif/tool/command.log" in failure.detail
    assert ids(read_corpus(project.data / "fuse/vif/tool")) == ids(pairs) - {skipped}


def test_a_command_that_hangs_is_ended_and_what_it_gave_is_kept(fuse, project, pairs):
    (project.folder / "hang.py").write_text(
        "import shutil, sys, time\n"
        "from pathlib import Path\n"
        "first = sorted(Path(sys.argv[1]).iterdir())[0]\n"
        "shutil.copy(first, Path(sys.argv[2]) / first.name)\n"
        "time.sleep(60)\n"
    )
    command = f"{sys.executable} hang.py {{a}} {{out}} {{b}}"
    fuse(hang={"external": "command", "command": command, "timeout": 3})
    failures = read_failures(project.data / "fuse/vif/hang")
    assert len(failures) == len(pairs) - 1 and {f.reason for f in failures} == {"command_failed"}
    assert all("was ended after 3 s; see data/fuse/vif/hang/command.log" in f.detail for f in failures)
    assert len(read_corpus(project.data / "fuse/vif/hang")) == 1


def test_images_of_the_wrong_size_from_a_command_are_recorded(fuse, project, pairs):
    (project.folder / "halve.py").write_text(
        "import sys, cv2\n"
        "from pathlib import Path\n"
        "for n, file in enumerate(sorted(Path(sys.argv[1]).iterdir())):\n"
        "    image = cv2.imread(str(file))\n"
        "    cv2.imwrite(str(Path(sys.argv[2]) / file.name), image if n else image[::2])\n"
    )
    fuse(halve={"external": "command", "command": f"{sys.executable} halve.py {{a}} {{out}} {{b}}"})
    (failure,) = read_failures(project.data / "fuse/vif/halve")
    assert failure.reason == "different_size" and "is 64x32, but its sources are 64x64" in failure.detail
    assert failure.detail.startswith(f"{{out}}/{failure.pair_id}.png")
    assert ids(read_corpus(project.data / "fuse/vif/halve")) == ids(pairs) - {failure.pair_id}


def test_a_command_that_gives_nothing_is_not_run_again_and_others_go_on(fuse, project, pairs, tool):
    with pytest.raises(UserError, match=r"method 'tool': fused none of 8 pairs; .*exit code 1") as error:
        fuse(tool=tool(ids(pairs), 1, batch=2), max={})
    assert "\n" not in str(error.value)
    assert (project.data / "fuse/vif/tool/command.log").read_text().count("given") == 1
    assert len(read_failures(project.data / "fuse/vif/tool")) == 8
    assert ids(read_corpus(project.data / "fuse/vif/max")) == ids(pairs)


@pytest.fixture
def learned(monkeypatch):
    """A published network that takes the darker source, with weights of the given hash, or without any."""

    def publish(sha256):
        def build():
            raise AssertionError("the stage asks for loaded networks only")

        class Dark(PublishedMethod):
            def ready(self, task=None, *, device="cpu"):
                assert (task, device) == ("vif", "cpu")
                if not sha256:
                    raise UserError("dark: no weights; run 'sigforge weights import'")
                return replace(self, function=lambda sources: sources.amin(0))

        weights = {"vif": Weights("", "", sha256, "", "")}
        dark = Dark("dark", lambda sources: None, ("vif",), kind="learned", build=build, weights=weights)
        assert "max" in METHODS
        monkeypatch.setitem(METHODS._entries, "dark", dark)

    return publish


def test_a_published_network_becomes_a_corpus_and_new_weights_a_new_one(fuse, project, pairs, learned):
    learned("one")
    fuse(dark={})
    assert ids(read_corpus(project.data / "fuse/vif/dark")) == ids(pairs)
    before = project.written("fuse/vif/*/*.png")
    fuse(dark={})
    assert project.written("fuse/vif/*/*.png") == before
    learned("two")
    fuse(dark={})
    after = project.written("fuse/vif/*/*.png")
    assert {name for name in after if after[name] != before[name]} == {name for name in after if "/dark/" in name}


def test_weights_that_are_not_there_do_not_stop_the_others(fuse, project, pairs, learned):
    learned("")
    with pytest.raises(UserError, match="method 'dark': dark: no weights; run 'sigforge weights import'"):
        fuse(dark={}, max={})
    assert ids(read_corpus(project.data / "fuse/vif/max")) == ids(pairs)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"external": "folder", "path": "nowhere"}, "method 'cnn': nowhere: no such folder"),
        ({"external": "model", "path": "none.pt2"}, "method 'cnn': none.pt2: no such file"),
        (
            {"external": "command", "command": "no-such {a} {b} {out}"},
            "method 'cnn': command 'no-such' cannot be started",
        ),
        ({"external": "folder"}, "method 'cnn': path: is missing"),
    ],
)
def test_mistakes_name_the_method(fuse, options, problem):
    with pytest.raises(UserError, match=problem):
        fuse(cnn=options)
