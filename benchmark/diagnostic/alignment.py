"""How well gradients of rows agree with a direction: numbers in, numbers out."""

from __future__ import annotations

from torch import Tensor

EPSILON = 1e-6
"""The reference adds it to every norm."""


def cosines(products: Tensor, row_norms: Tensor, norms: Tensor) -> Tensor:
    """Cosines of the angles between directions and rows' gradients: ``[B, n]``.

    ``products`` ``[B, n]`` inner products, ``row_norms`` ``[n]``, ``norms`` ``[B]``; 0 where a norm
    is 0.
    """
    scale = norms[:, None] * row_norms
    return products / scale.clamp(min=1e-30)


def one_sided(products: Tensor, shares: Tensor, norms: Tensor) -> Tensor:
    """Each row's share of its batch's gradient along the unit direction: ``[B, n]``.

    ``gradient_cosine`` of the reference (public code of arXiv 2311.11973), which is no cosine:
    ``share_i <g_i, u> / (|u| + 1e-6)``. ``products`` ``[B, n]``, ``norms`` ``[B]``; ``shares``
    ``[n]`` of the batch's tokens.
    """
    return products * shares / (norms[:, None] + EPSILON)


def with_displacement(products: Tensor, shares: Tensor, norm: Tensor) -> Tensor:
    """Agreement of rows with where fine-tuning went, one-sided as the reference has it: ``[n]``.

    ``dot_prod_with_delta_params``: ``-share_i <g_i, d> / (|d| + 1e-6)`` with ``d`` the fine-tuned
    parameters minus those before; positive where a step on the row goes the same way.
    """
    return -one_sided(products[None], shares, norm[None])[0]
