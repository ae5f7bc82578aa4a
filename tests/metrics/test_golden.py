"""Every metric against the field's published MATLAB code on real images (values in shared/reference)."""

import json
from functools import cache
from pathlib import Path

import cv2
import pytest
import torch

from components.metrics import list_metrics, score

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"
TABLE = REFERENCE / "metrics_golden.json"
RECORDS = json.loads(TABLE.read_text()) if TABLE.exists() else []

# Relative error allowed. Two float64 programs differ by the order of their sums; q_p also thresholds FFT output.
TOLERANCE = {"q_p": 1e-6}
DEFAULT_TOLERANCE = 1e-8


def read(name: str) -> torch.Tensor:
    pixels = cv2.imread(str(REFERENCE / "golden_images" / name), cv2.IMREAD_GRAYSCALE)
    return torch.from_numpy(pixels)[None, None].float() / 255


@cache
def values(index: int) -> dict[str, torch.Tensor]:
    record = RECORDS[index]
    return score(read(record["fused"]), read(record["a"]), read(record["b"]), list_metrics())


@pytest.mark.skipif(not RECORDS, reason=f"needs {TABLE}")
@pytest.mark.parametrize("name", list_metrics())
@pytest.mark.parametrize(
    "index", range(len(RECORDS)), ids=lambda i: "{dataset}-{pair}-{method}".format(**RECORDS[i]) if RECORDS else None
)
def test_agrees_with_the_published_code(index: int, name: str) -> None:
    record = RECORDS[index]
    if name in record["fragile"] or name not in record["values"]:
        pytest.skip(f"{name} has no reliable reference value on this pair")
    assert values(index)[name].item() == pytest.approx(
        record["values"][name], rel=TOLERANCE.get(name, DEFAULT_TOLERANCE)
    )
