import pytest
import torch

from sigforge.core.errors import UserError
from sigforge.methods.systems.select.network import KIND, SelectFusion, load_select
from sigforge.methods.weights import save_weights


def stirred():
    torch.manual_seed(0)
    net = SelectFusion().eval()
    with torch.no_grad():
        for value in net.parameters():
            value.normal_(0, 0.3)
    return net


def test_the_file_gives_the_same_fusion_of_any_number_of_sources(tmp_path):
    net, sources = stirred(), torch.rand(3, 1, 1, 31, 44)
    save_weights(tmp_path / "net.safetensors", net, kind=KIND, config={})
    torch.testing.assert_close(load_select(tmp_path / "net.safetensors").fuse(*sources), net.fuse(*sources))


def test_tiles_leave_no_seam(monkeypatch):
    net, sources = stirred(), torch.rand(2, 1, 1, 150, 170)
    whole = net.fuse(*sources)
    monkeypatch.setattr(SelectFusion, "tile", 128)
    assert float((net.fuse(*sources) - whole).abs().max()) < 0.02


def test_one_source_is_one_line():
    with pytest.raises(UserError, match="takes two or more sources, got 1"):
        SelectFusion().fuse(torch.rand(1, 1, 20, 20))
