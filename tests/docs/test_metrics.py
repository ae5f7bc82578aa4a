"""docs/metrics.md says what the registry says; its script measures honestly and never without reference values."""

import dataclasses
import importlib.util
import json
import math
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from sigforge.metrics import get_metric, list_metrics, score

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "metrics.md"


def load_script():
    spec = importlib.util.spec_from_file_location("docs_metrics", ROOT / "docs" / "metrics.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = load_script()


def cells(line):
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def registry_rows(text):
    rows = (cells(line) for line in text.split("## Calibration")[0].splitlines() if line.startswith("| `"))
    return {row[0].strip("`"): row for row in rows}


@pytest.fixture
def golden(tmp_path):
    """Reference values of two images: exact for sd, off by 2 % on the second, cc fragile on the first, q_c on both."""
    folder = tmp_path / "golden_images"
    folder.mkdir()
    random, records = np.random.default_rng(0), []
    for n in range(2):
        planes = random.integers(0, 256, (3, 40, 44), np.uint8)
        names = [f"{n}-{which}.png" for which in ("a", "b", "fused")]
        for name, plane in zip(names, planes, strict=True):
            cv2.imwrite(str(folder / name), plane)
        a, b, fused = (script.batch(folder / name) for name in names)
        values = {name: value.item() for name, value in score(fused, a, b, metrics=("sd", "cc")).items()}
        values["sd"] *= 1 + 0.02 * n
        facts = {"dataset": "set", "pair": str(n), "method": "noise", "fragile": ["q_c", "cc"] if n == 0 else ["q_c"]}
        records.append(
            facts | dict(zip(("a", "b", "fused"), names, strict=True)) | {"values": values | {"unknown": 1.0}}
        )
    (tmp_path / "metrics_golden.json").write_text(json.dumps(records))
    return tmp_path


def test_page_lists_every_metric_with_the_registrys_text():
    rows = registry_rows(PAGE.read_text())
    advice = "run 'python docs/metrics.py'"
    assert set(rows) == set(list_metrics()), advice
    for name, (_, symbol, best, span, reference, sources, variant_of, convention, paper, equation) in rows.items():
        metric = get_metric(name)
        assert (symbol, convention, paper) == (metric.symbol, metric.convention, metric.paper), advice
        assert equation == f"$`{metric.equation}`$" and sources == metric.sources, advice
        assert best == ({"↑": "↑ higher", "↓": "↓ lower"}.get(metric.arrow, metric.arrow)), advice
        assert variant_of.strip("`") == (metric.variant_of or ""), advice
        assert reference == ("needed" if metric.needs_reference else "no"), advice
        bounds = [float(bound.replace("∞", "inf")) for bound in span.strip("[]").split(",")]
        assert bounds == pytest.approx(metric.range, rel=1e-4), advice


def test_page_carries_a_calibration_within_what_is_promised():
    lines = PAGE.read_text().split("## Calibration")[1].splitlines()
    rows = [cells(line) for line in lines if line.startswith("| `")]
    assert len(rows) >= 30
    for name, images, error, where, _ in rows:
        if int(images):
            bound = 1e-12 if error == "below 1e-12" else float(error)
            assert bound <= 1e-3 and where, f"{name} is off by {error}: run 'python docs/metrics.py'"


def test_calibration_finds_the_worst_image_and_skips_fragile_ones(golden):
    found = {c.name: c for c in script.calibrate(script.read_records(golden), golden / "golden_images")}
    assert set(found) == {"sd", "cc", "q_c"}
    assert found["sd"].error == pytest.approx(0.02 / 1.02) and found["sd"].where == "set 1 noise"
    assert (found["sd"].images, found["sd"].fragile) == (2, 0) and (found["cc"].images, found["cc"].fragile) == (1, 1)
    assert found["cc"].error < 1e-12 and script.error_text(found["cc"]) == "below 1e-12"
    assert (found["q_c"].images, found["q_c"].fragile) == (0, 2) and script.error_text(found["q_c"]) == "–"


def test_an_undefined_value_is_no_agreement():
    assert script.relative_error(math.nan, 1.0) == math.inf
    assert script.relative_error(0.25, 0.0) == 0.25


def test_script_writes_the_page_and_refuses_without_reference_values(golden, tmp_path, capsys):
    page = tmp_path / "page.md"
    assert script.main(golden, page) == 0
    text = page.read_text()
    assert set(registry_rows(text)) == set(list_metrics())
    assert "| `sd` | 2 | 2.0e-02 | set 1 noise | none |" in text and "| `q_c` | 0 | – |  | 2 |" in text
    (golden / "metrics_golden.json").unlink()
    assert script.main(golden, page) == 2
    assert "without reference values no calibration is written" in capsys.readouterr().err
    assert page.read_text() == text


def test_what_the_registry_says_can_be_written_without_reference_values(golden, tmp_path):
    page = tmp_path / "page.md"
    script.main(golden, page)
    whole = page.read_text()
    page.write_text(whole.replace("standard deviation", "something old"))
    assert script.update(page) == 0 and page.read_text() == whole


def test_bars_in_a_definition_do_not_end_the_cell():
    metric = dataclasses.replace(get_metric("sd"), equation=r"|A| \le 1", convention="a|b")
    row = cells(script.table(script.HEADS, [script.cells(metric)]).splitlines()[-1])
    assert row[7] == "a|b" and row[9] == r"$`|A| \le 1`$" and len(row) == len(script.HEADS)
