"""Stage ``few_shot``: a table of what synthetic pairs bring a network that sees few real ones."""

import pyarrow.parquet as pq
import pytest

from sigforge.core.errors import UserError
from sigforge.evaluation.few_shot import ARMS, MEASURED

TINY = {"counts": [2], "steps": 4, "first": 0.5, "seeds": 1, "batch": 1, "crop": 32, "lr": 1e-3, "tests": 2}


def test_nothing_is_done_unless_asked_for(project):
    project.call("few_shot")
    assert pq.read_table(project.data / "few_shot/vif/values.parquet").num_rows == 0
    assert not (project.data / "few_shot/vif/few_shot.md").exists()


def test_both_arms_stand_in_the_table(project):
    project.set("few_shot", TINY)
    project.call("few_shot")
    rows = pq.read_table(project.data / "few_shot/vif/values.parquet").to_pylist()
    tests = {row["pair"] for row in rows}
    assert len(rows) == len(ARMS) * len(tests) * len(MEASURED) and {row["arm"] for row in rows} == set(ARMS)
    text = (project.data / "few_shot/vif/few_shot.md").read_text()
    assert "| 2 | Q_G ↑ |" in text and "2 of the steps on synthetic pairs" in text
    assert "`both` of the two among themselves at 2 real pairs" in text


def test_more_pairs_than_there_are_is_one_line(project):
    project.set("few_shot", TINY | {"counts": [99]})
    with pytest.raises(UserError, match="few-shot vif: 99 real pairs are asked for, 5 are there: ask less"):
        project.call("few_shot")
