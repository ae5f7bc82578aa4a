import pytest
import torch

from sigforge.methods.sigfusion.blocks import Attention


def attention(share):
    torch.manual_seed(0)
    made = Attention(8, 2, share).eval()
    made.position.weight.data.zero_()
    return made


@torch.no_grad()
def test_sharing_changes_nothing_where_the_tokens_that_share_are_alike():
    torch.manual_seed(1)
    squares = torch.randn(2, 8, 3, 2).repeat_interleave(4, 2).repeat_interleave(4, 3)
    plain, shared = attention(1)(squares), attention(4)(squares)
    torch.testing.assert_close(shared, plain, atol=1e-5, rtol=1e-5)
    assert float((plain - squares).abs().max()) > 0.01
    assert float((attention(4)(squares.roll(1, 3)) - attention(1)(squares.roll(1, 3))).abs().max()) > 1e-4


@torch.no_grad()
@pytest.mark.parametrize("size", [(3, 5), (9, 6)])
def test_sides_need_not_be_multiples_of_what_is_shared(size):
    torch.manual_seed(1)
    assert attention(4)(torch.randn(1, 8, *size)).shape == (1, 8, *size)
