import pytest
import torch

from sigforge.core.errors import UserError
from sigforge.methods.cost import count_flops
from sigforge.methods.loading import load
from sigforge.methods.registry import get_method, list_methods
from sigforge.methods.systems.defusion.network import DeFusion
from sigforge.methods.systems.defusion_pp.released import ReleasedDeFusionPP
from sigforge.methods.systems.emma.network import KIND, UFuser, UFuserConfig
from sigforge.methods.systems.method import get_system, list_systems, trained_systems
from sigforge.methods.systems.refusion.network import ReFusionSystem
from sigforge.methods.systems.select.network import SelectFusion
from sigforge.methods.systems.sspfusion.network import SSPFusion
from sigforge.methods.weights import save_weights

NETWORKS = {
    "defusion": DeFusion,
    "defusion_pp": ReleasedDeFusionPP,
    "emma": UFuser,
    "refusion_trained": ReFusionSystem,
    "select": SelectFusion,
    "sspfusion": SSPFusion,
}


def test_systems_are_methods_like_any_other():
    assert list_systems() == tuple(sorted(NETWORKS)) and set(NETWORKS) < set(list_methods("vif"))
    assert get_method("refusion").name != get_method("refusion_trained").name, "published and trained here"
    for name in NETWORKS:
        method = get_method(name)
        assert (method.name, method.kind) == (name, "learned")
        assert method.n_sources == ((2, None) if name == "select" else (2, 2))
        assert method.paper and method.year and method.notes
        with pytest.raises(UserError, match=r"needs? trained|with trained weights"):
            method.fuse(*torch.rand(2, 1, 1, 8, 8))


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_size_and_cost_are_those_of_the_network(name):
    with torch.device("meta"):
        net = NETWORKS[name]()
    assert get_system(name).parameters == sum(parameter.numel() for parameter in net.parameters())
    assert get_system(name).flops == count_flops(lambda sources: net.fuse(*sources))


def test_a_wrong_name_gets_the_nearest():
    with pytest.raises(UserError, match="unknown method 'ema': did you mean 'emma'"):
        get_system("ema")
    with pytest.raises(UserError, match="'gff' is no system: choose from defusion, "):
        get_system("gff")


def test_a_file_becomes_the_method(tmp_path, monkeypatch):
    torch.manual_seed(0)
    config = UFuserConfig(widths=(8, 8, 8, 8))
    net, folder = UFuser(config).eval(), tmp_path / "data/systems/mif"
    save_weights(folder / "emma/model.safetensors", net, kind=KIND, config=config.model_dump(mode="json"))
    monkeypatch.chdir(tmp_path)
    a, b = torch.rand(2, 1, 1, 17, 20)
    assert torch.equal(get_system("emma").ready("mif").fuse(a, b), net.fuse(a, b))
    assert trained_systems(folder) == {}, "the history is written last"
    (folder / "emma/history.parquet").touch()
    assert trained_systems(folder) == {"emma": folder / "emma/model.safetensors"}
    by_file = load(folder / "emma/model.safetensors")
    assert torch.equal(by_file.fuse(a, b), net.fuse(a, b)) and by_file.name.endswith("emma/model.safetensors")
    with pytest.raises(UserError, match="holds a emma model where a sspfusion model is needed"):
        get_system("sspfusion").with_weights(folder / "emma/model.safetensors")
    with pytest.raises(UserError, match="data/systems/vif/emma/model.safetensors: no such model"):
        get_system("emma").ready()
