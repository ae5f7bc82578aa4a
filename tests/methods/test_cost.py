from functools import cache

import pytest
import torch
from torch import nn

from sigforge.methods.cost import COST_SIZE, count_flops
from sigforge.methods.published.method import list_published
from sigforge.methods.registry import get_method
from sigforge.methods.sigfusion.fusion import FusionNet
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig
from sigforge.methods.systems.method import get_system, list_systems


@cache
def counted(build):
    return count_flops(build().to("meta").fuse)


def test_a_convolution_costs_two_operations_per_weight_and_pixel():
    conv = nn.Conv2d(1, 5, 3, padding=1, device="meta")
    assert count_flops(lambda sources: conv(sources[0]), size=(7, 11)) == 2 * 9 * 5 * 7 * 11


def test_a_matrix_product_costs_two_operations_per_term():
    assert count_flops(lambda sources: sources[0, 0, 0] @ sources[1, 0, 0].mT, size=(6, 4)) == 2 * 6 * 4 * 6


def test_norms_and_activations_are_free():
    assert count_flops(lambda sources: nn.functional.layer_norm(sources, sources.shape[-1:]).relu(), size=(8, 8)) == 0


@pytest.mark.parametrize("name", list_published())
def test_the_registry_says_what_a_published_network_costs(name):
    method = get_method(name)
    assert method.flops == counted(method.build)


def test_the_registry_says_what_sigfusion_has_and_costs_by_default():
    net = FusionNet(SigFormer(SigFormerConfig()))
    assert get_method("sigfusion").parameters == sum(p.numel() for p in net.parameters())
    net.to("meta")
    assert get_method("sigfusion").flops == count_flops(lambda sources: net.fuse(*sources), size=COST_SIZE)


@pytest.mark.parametrize("name", list_systems())
def test_the_registry_says_what_systems_have_and_cost_by_default(name):
    with torch.device("meta"):
        net = get_system(name).build()
    assert get_method(name).parameters == sum(p.numel() for p in net.parameters())
    assert get_method(name).flops == count_flops(lambda sources: net.fuse(*sources))


def test_nothing_is_computed():
    with pytest.raises(RuntimeError, match="meta"):
        count_flops(lambda sources: torch.tensor(sources.max().item()))
