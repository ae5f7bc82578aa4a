import torch

from sigforge.methods.classical.rules import max_abs, normalise


def test_max_abs_keeps_the_sign_of_the_largest():
    chosen = max_abs(torch.tensor([[0.1, -5.0, 0.0], [-0.2, 4.0, 0.0], [0.15, 4.5, 0.0]]))
    assert chosen.tolist() == torch.tensor([-0.2, -5.0, 0.0]).tolist()


def test_max_abs_breaks_ties_without_looking_at_the_order():
    pair = torch.tensor([[2.0, -2.0], [-2.0, 2.0]])
    assert max_abs(pair).tolist() == max_abs(pair.flip(0)).tolist() == [2.0, 2.0]


def test_weights_are_scaled_to_one_and_shared_where_all_are_zero():
    weights = normalise(torch.tensor([[1.0, 0.0, 0.0], [3.0, 0.0, 1e-3], [0.0, 0.0, 0.0]]))
    torch.testing.assert_close(weights, torch.tensor([[0.25, 1 / 3, 0], [0.75, 1 / 3, 1], [0, 1 / 3, 0]]))
