import copy
import shutil

import pytest
import torch

from sigforge.methods.sigfusion.compiled import compile_parts
from sigforge.methods.sigfusion.full.network import FullConfig
from sigforge.methods.sigfusion.fusion import FusionConfig, build_fusion
from sigforge.methods.sigfusion.modulator import HighModulator
from sigforge.methods.sigfusion.plgn import Plgn
from sigforge.methods.sigfusion.sigformer import SigFormer, SigFormerConfig


def plgn():
    torch.manual_seed(0)
    made = Plgn(SigFormer(SigFormerConfig(width=8, heads=2, signals=4)), ("ir", "vis"))
    with torch.no_grad():
        for parameter in made.modulators.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return made


def gradients(net, channel):
    fused, target = torch.rand(2, 2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    loss = net.loss(fused, target, channel)
    (loss.signal + loss.pixel).backward()
    return loss, [parameter.grad for parameter in net.modulators[channel].parameters()]


def test_training_is_traced_whole_and_changes_nothing():
    """Without the generated code, which takes minutes: graphs of all submodules, forward and backward."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    plain, compiled = plgn(), plgn()
    assert compile_parts(compiled, backend="aot_eager") == 4 + 2 * 5
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    for channel in ("ir", "vis"):
        (loss, grads), (wanted, wanted_grads) = gradients(compiled, channel), gradients(plain, channel)
        torch.testing.assert_close([loss.signal, loss.pixel], [wanted.signal, wanted.pixel])
        torch.testing.assert_close(grads, wanted_grads)
    assert not torch._dynamo.utils.counters["graph_break"]


def test_the_full_form_is_traced_whole_and_changes_nothing():
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    config = FusionConfig(form="full", head="select", full=FullConfig(width=8, heads=2, signals=2, pools=(2,)))
    torch.manual_seed(0)
    plain = build_fusion(config)
    compiled = copy.deepcopy(plain)
    assert compile_parts(compiled, backend="aot_eager") == 2 + 3 + 3
    sources = torch.rand(2, 1, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    for net in (plain, compiled):
        net(sources).square().mean().backward()
    wanted = [value.grad for value in plain.parameters()]
    torch.testing.assert_close([value.grad for value in compiled.parameters()], wanted)
    assert not torch._dynamo.utils.counters["graph_break"]


@pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler")
def test_generated_code_computes_the_same():
    torch.manual_seed(0)
    modulator, high = HighModulator(4), torch.randn(2, 4, 100)
    with torch.no_grad():
        for parameter in modulator.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        wanted = modulator(high)
        assert compile_parts(modulator) == 1
        torch.testing.assert_close(modulator(high), wanted)
    assert (wanted - high).abs().max() > 0.01
