"""Stage ingest takes data sets of the catalogue by their name."""

import numpy as np
import pytest

from sigforge.core.errors import UserError
from sigforge.core.images import write_image
from sigforge.dataset.tables import read_pairs

from .conftest import new_project


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "MSRS"
    for number, split in enumerate(("train",) * 8 + ("test",) * 3):
        for side, folder in enumerate(("ir", "vi")):
            pixels = np.random.default_rng([number, side]).random((64, 64))
            write_image(root / split / folder / f"{number:05d}D.png", pixels)
    project = new_project(tmp_path)
    source = {"kind": "catalogue", "name": "msrs", "root": str(root)}
    project.set("ingest.vif.sources", [source])
    return project


def splits(project):
    pairs = read_pairs(project.data / "ingest/vif/pairs.parquet")
    return {pair.pair_id: pair.split for pair in pairs}


def test_the_published_split_is_kept(project, capsys):
    project.call("ingest")
    found = splits(project)
    assert [name for name, split in found.items() if split == "test"] == [f"msrs-{n:05d}D" for n in (8, 9, 10)]
    assert sorted(found.values()).count("val") == 2
    assert "MSRS: 11 pairs found, 1444 published" in capsys.readouterr().err


def test_a_split_of_ones_own(project):
    project.set("ingest.vif.sources", [{**source(project), "published": False, "limit": 10}])
    project.call("ingest")
    assert sorted(splits(project).values()) == ["test"] * 2 + ["train"] * 6 + ["val"] * 2


def source(project):
    return {"kind": "catalogue", "name": "msrs", "root": str(project.folder / "MSRS")}


def test_mistakes_name_the_key(project):
    project.set("ingest.vif.sources", [{**source(project), "name": "mrs"}])
    with pytest.raises(UserError, match=r"ingest\.vif\.sources\.0\.name.*'mrs' is not in the catalogue"):
        project.call("ingest")
    project.set("ingest.vif.sources", [{**source(project), "name": "sice"}])
    with pytest.raises(UserError, match=r"ingest\.vif: SICE is a data set of mef: name it there"):
        project.call("ingest")
