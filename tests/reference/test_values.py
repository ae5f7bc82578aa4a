"""Numbers that stand in the repository, against what the code gives today."""

import importlib.util
import json
from pathlib import Path

import pytest

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location("reference_make", HERE / "make.py")
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)
VALUES = json.loads((HERE / "values.json").read_text())


@pytest.mark.parametrize("task", make.TASKS)
def test_metrics(task):
    found, expected = make.scores(task), VALUES["metrics"][task]
    assert len(expected) >= 58 and set(expected) <= set(found)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=2e-3, abs=2e-5, nan_ok=True)


@pytest.mark.parametrize("task", make.TASKS)
def test_classical_methods(task):
    found, expected = make.methods(task), VALUES["methods"][task]
    assert len(expected) >= 10 and set(expected) <= set(found)
    for name, numbers in expected.items():
        assert found[name] == pytest.approx(numbers, abs=2e-3), name


@pytest.mark.parametrize("task", make.TASKS)
def test_empirical_wavelets(task):
    found, expected = make.bands(task), VALUES["ewt"][task]
    assert found["boundaries"] == pytest.approx(expected["boundaries"], abs=1e-5)
    assert found["energies"] == pytest.approx(expected["energies"], abs=1e-5)
