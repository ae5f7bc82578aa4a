"""Every metric against the field's published MATLAB code on real images (SIGFORGE_REFERENCE says where).

``SIGFORGE_GOLDEN=all`` takes all fifteen pairs.
"""

import json
import os
from functools import cache
from pathlib import Path

import cv2
import pytest
import torch

from sigforge.metrics import list_metrics, score

REFERENCE = Path(os.environ.get("SIGFORGE_REFERENCE", Path(__file__).resolve().parents[3] / "shared/reference"))
TABLE = REFERENCE / "metrics_golden.json"
RECORDS = json.loads(TABLE.read_text()) if TABLE.exists() else []
# All pairs take a minute; by default the small ones (MRI) and the first of each other kind.
CHOSEN = [
    index
    for index, record in enumerate(RECORDS)
    if os.environ.get("SIGFORGE_GOLDEN") == "all" or record["height"] < 300 or index in (0, 9)
]

# Relative error allowed. Two float64 programs differ by the order of their sums.
DEFAULT_TOLERANCE = 1e-8
TOLERANCE = {
    "q_p": 1e-6,  # thresholds the output of an FFT
    "fmi": 1e-5,  # joint distributions in float32
    "fmi_gradient": 1e-5,
    "fmi_dct": 1e-5,
    "q_w": 2e-4,  # the published code gives exactly black windows a weight
    "q_e": 2e-4,
}


def read(name: str) -> torch.Tensor:
    pixels = cv2.imread(str(REFERENCE / "golden_images" / name), cv2.IMREAD_GRAYSCALE)
    return torch.from_numpy(pixels)[None, None].float() / 255


def reliable(record: dict) -> list[str]:
    return [name for name in record["values"] if name not in record["fragile"]]


@cache
def values(index: int) -> dict[str, torch.Tensor]:
    record = RECORDS[index]
    return score(read(record["fused"]), read(record["a"]), read(record["b"]), metrics=reliable(record))


@pytest.mark.skipif(not RECORDS, reason=f"needs {TABLE}")
def test_every_reference_value_has_its_metric() -> None:
    assert {name for record in RECORDS for name in record["values"]} <= set(list_metrics())


@pytest.mark.skipif(not RECORDS, reason=f"needs {TABLE}")
@pytest.mark.parametrize(
    ("index", "name"),
    [(index, name) for index in CHOSEN for name in reliable(RECORDS[index])],
    ids=lambda value: "{dataset}-{pair}-{method}".format(**RECORDS[value]) if isinstance(value, int) else value,
)
def test_agrees_with_the_published_code(index: int, name: str) -> None:
    expected = RECORDS[index]["values"][name]
    assert values(index)[name].item() == pytest.approx(expected, rel=TOLERANCE.get(name, DEFAULT_TOLERANCE), abs=0)
