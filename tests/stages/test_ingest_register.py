"""Stage ingest lays pairs on one another where it is asked to, and says what it did."""

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from sigforge.core.images import write_image
from sigforge.dataset.sources import scenes
from sigforge.dataset.tables import read_pairs

from .conftest import new_project


@pytest.fixture
def project(tmp_path):
    project = new_project(tmp_path)
    for number, pair in enumerate(scenes.simulate("mef", 6, 128, 1)):
        move = np.array([[1, 0, 5 if number % 2 else 0], [0, 1, -3 if number % 2 else 0]], np.float32)
        a = cv2.warpAffine(pair.a, move, (128, 128), borderMode=cv2.BORDER_REFLECT)
        for folder, image in (("under", a), ("over", pair.b)):
            write_image(tmp_path / folder / f"{number}.png", image)
    source = {
        "kind": "folders",
        "name": "s",
        "subtask": "mef",
        "a": str(tmp_path / "under"),
        "b": str(tmp_path / "over"),
    }
    project.set("ingest.mef.sources", [source])
    project.set("ingest.mef.min_pairs", 2)
    return project


def registrations(project):
    return pq.read_table(project.data / "ingest/mef/registration.parquet").to_pylist()


def test_a_report_says_how_far_pairs_are_off(project, capsys):
    project.set("ingest.mef.register", "report")
    project.call("ingest", "mef")
    rows = registrations(project)
    assert [round(row["displacement"], 1) for row in rows[1::2]] == pytest.approx([5.8] * 3, abs=0.5)
    assert not any(row["applied"] for row in rows) and "6 reported" in capsys.readouterr().err
    assert all(pair.height == 128 for pair in read_pairs(project.data / "ingest/mef/pairs.parquet"))


def test_pairs_are_moved_and_cut_and_none_silently(project, capsys):
    project.set("ingest.mef.register", "shift")
    project.call("ingest", "mef")
    rows, pairs = registrations(project), read_pairs(project.data / "ingest/mef/pairs.parquet")
    assert [row["applied"] for row in rows] == [False, True] * 3 and "3 moved" in capsys.readouterr().err
    for row, pair in zip(rows, pairs, strict=True):
        assert ("/registered/" in pair.a_path) == row["applied"] and row["pair_id"] == pair.pair_id
        assert pair.width == (128 if not row["applied"] else pytest.approx(123, abs=1))


def test_nothing_is_estimated_unless_asked_for(project):
    project.call("ingest", "mef")
    assert not (project.data / "ingest/mef/registration.parquet").exists()
