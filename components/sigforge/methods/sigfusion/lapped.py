"""Orthonormal bases to start a patch embedding from: cosines on separate patches, or overlapping ones.

The lapped orthogonal transform is Malvar and Staelin, "The LOT: transform coding without blocking effects", IEEE TASSP
37(4), 1989: 2M samples for every M coefficients, basis functions that fade out at both ends.
"""

import numpy as np

CORRELATION = 0.95
"""Of neighbouring pixels, the usual first-order model of photographs; it orders and shapes the odd functions."""


def cosine_basis(size: int) -> np.ndarray:
    """(size, size) DCT-II, one basis function a row.

    Example:
        >>> basis = cosine_basis(4)
        >>> bool(np.allclose(basis @ basis.T, np.eye(4)))
        True
    """
    index = np.arange(size)
    basis = np.sqrt(2 / size) * np.cos(np.pi / size * (index + 0.5) * index[:, None])
    basis[0] /= np.sqrt(2)
    return basis


def lapped_basis(size: int) -> np.ndarray:
    """(size, 2*size) lapped orthogonal transform, one basis function a row, the constant first; ``size`` even.

    Orthonormal, and so are functions of neighbouring blocks, shifted by ``size``: analysis followed by the transposed
    synthesis gives the signal back.

    Raises:
        ValueError: an odd size.
    """
    if size % 2:
        raise ValueError(f"a lapped transform needs an even block, got {size}")
    cosines = cosine_basis(size)
    difference = cosines[0::2] - cosines[1::2]
    mirrored = difference[:, ::-1]
    even = np.concatenate([difference, mirrored], axis=1) / 2
    odd = np.concatenate([difference, -mirrored], axis=1) / 2
    return _interleave(even, _decorrelate(odd))


def square_basis(rows: np.ndarray) -> np.ndarray:
    """(M*M, n, n) products of the (M, n) functions ``rows``, from smooth to fine (by the sum of both orders)."""
    count, length = rows.shape
    products = np.einsum("uy,vx->uvyx", rows, rows).reshape(count * count, length, length)
    order = np.add.outer(np.arange(count), np.arange(count)).ravel()
    return products[np.argsort(order, kind="stable")]


def _covariance(size: int) -> np.ndarray:
    return CORRELATION ** np.abs(np.subtract.outer(np.arange(size), np.arange(size)))


def _decorrelate(functions: np.ndarray) -> np.ndarray:
    """Rotate functions among themselves so that their coefficients of a first-order signal are uncorrelated."""
    _, vectors = np.linalg.eigh(functions @ _covariance(functions.shape[1]) @ functions.T)
    rotated = vectors[:, ::-1].T @ functions
    return rotated * np.where(rotated[:, :1] < 0, -1, 1)


def _interleave(even: np.ndarray, odd: np.ndarray) -> np.ndarray:
    basis = np.empty((2 * len(even), even.shape[1]))
    basis[0::2], basis[1::2] = even, odd
    return basis
