"""Large images are scored band by band; cut small, an image has the values that it has whole."""

import pytest
import torch

from sigforge.metrics import bands as module
from sigforge.metrics import score, select_metrics
from sigforge.metrics.bands import rows_of_bands

STREAMED = "q_g, q_m, q_p, mi, sd, vif_sum, viff, q_g_min, q_m_min, q_p_min, mi_min, vif_min, en, mi_nats"


@pytest.mark.parametrize(("height", "width"), [(95, 71), (64, 80), (101, 64)])
def test_bands_change_no_value(monkeypatch, height, width):
    generator = torch.Generator().manual_seed(3)
    y, x = torch.meshgrid(torch.arange(height) / 9, torch.arange(width) / 7, indexing="ij")
    waves = (torch.sin(x + y * y / 9) + torch.cos(y)) / 4 + 0.5
    a, b, fused = (
        (waves.roll(n, 1) + torch.rand(2, 1, height, width, generator=generator) / 8).clamp(0, 1) for n in (0, 5, 3)
    )
    whole = score(fused, a, b, metrics=STREAMED)
    monkeypatch.setattr(module, "WHOLE", 500)
    monkeypatch.setattr(module, "BAND", 9 * width)
    assert len(rows_of_bands(height, width)) > 7
    cut = score(fused, a, b, metrics=STREAMED)
    for name, values in whole.items():
        assert torch.allclose(cut[name], values, rtol=1e-6, atol=1e-9), (name, cut[name], values)
    everything = [metric.name for metric in select_metrics("all", reference=False)]
    assert set(score(fused, a, b, metrics=everything)) == set(everything)


def test_bands_cover_every_row_once(monkeypatch):
    monkeypatch.setattr(module, "WHOLE", 100)
    monkeypatch.setattr(module, "BAND", 70)
    for multiple in (1, 2, 4):
        limits = rows_of_bands(37, 10, multiple)
        assert [row for start, stop in limits for row in range(start, stop)] == list(range(37))
        assert all((stop - start) % multiple == 0 for start, stop in limits[:-1])
