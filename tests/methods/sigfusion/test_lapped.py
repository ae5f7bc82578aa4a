import numpy as np
import pytest

from sigforge.methods.sigfusion.lapped import cosine_basis, lapped_basis, square_basis


@pytest.mark.parametrize("size", [2, 4, 8, 16])
def test_lapped_functions_are_orthonormal_also_to_their_neighbours(size):
    basis = lapped_basis(size)
    first, second = basis[:, :size], basis[:, size:]
    np.testing.assert_allclose(first @ first.T + second @ second.T, np.eye(size), atol=1e-12)
    np.testing.assert_allclose(first @ second.T, 0, atol=1e-12)


def test_a_constant_is_one_coefficient():
    basis = lapped_basis(4)
    np.testing.assert_allclose(basis @ np.ones(8), [2, 0, 0, 0], atol=1e-12)


def test_functions_fade_out_where_cosines_end_abruptly():
    lapped, cosines = np.abs(lapped_basis(8)[:4]), np.abs(cosine_basis(8)[:4])
    assert (lapped[:, 0] / lapped.max(1)).max() < 0.35 and (cosines[:, 0] / cosines.max(1)).min() > 0.8


def test_squares_are_sorted_from_smooth_to_fine():
    squares = square_basis(cosine_basis(4))
    assert squares.shape == (16, 4, 4) and np.ptp(squares[0]) < 1e-12
    np.testing.assert_allclose(squares.reshape(16, 16) @ squares.reshape(16, 16).T, np.eye(16), atol=1e-12)
    changes = [
        np.count_nonzero(np.diff(np.sign(square), axis=0)) + np.count_nonzero(np.diff(np.sign(square), axis=1))
        for square in squares
    ]
    assert changes[0] == 0 and changes[-1] == max(changes)


def test_an_odd_block_is_refused():
    with pytest.raises(ValueError, match="even block, got 3"):
        lapped_basis(3)
