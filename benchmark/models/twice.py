"""Operations whose forward-mode derivative can be differentiated once more.

That of several of torch's own cannot: of its layer norm it lacks a part without a word, of its
log-softmax it fails. A backward pass over a forward-mode pass gives a Hessian product in 8 matrix
products a layer, where forward mode over a backward pass needs 9.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F  # noqa: N812 (torch's own convention)
from torch.overrides import TorchFunctionMode


class TwiceDifferentiable(TorchFunctionMode):
    """Inside, norms, losses and attention are made of parts that can be differentiated twice."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        del types
        replacement = _REPLACEMENTS.get(func, func)
        return replacement(*args, **(kwargs or {}))


def layer_norm(
    x: Tensor,
    normalized_shape: tuple[int, ...],  # noqa: ARG001 (as torch's)
    weight: Tensor,
    bias: Tensor,
    eps: float,
) -> Tensor:
    """`torch.nn.functional.layer_norm` over the last dimension."""
    centred = x - x.mean(-1, keepdim=True)
    scale = (centred.square().mean(-1, keepdim=True) + eps).rsqrt()
    return torch.addcmul(bias, centred * scale, weight)


def cross_entropy(logits: Tensor, labels: Tensor, reduction: str, **_: Any) -> Tensor:
    """`torch.nn.functional.cross_entropy` of each row of ``logits`` ``[n, V]``."""
    assert reduction == "none"
    highest = forward_ad.unpack_dual(logits).primal.detach().amax(1)
    summed = (logits - highest[:, None]).exp().sum(1)
    losses: Tensor = summed.log() + highest - logits.gather(1, labels[:, None])[:, 0]
    return losses


def attention(q: Tensor, k: Tensor, v: Tensor, is_causal: bool, dropout_p: float = 0.0) -> Tensor:
    """Causal softmax attention, value and tangent by formula: ``[n, H, T, d]`` each."""
    assert is_causal
    assert not dropout_p, "derivatives along directions are taken without dropout"
    parts = [forward_ad.unpack_dual(each) for each in (q, k, v)]
    if all(part.tangent is None for part in parts):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    q0, k0, v0 = (part.primal.flatten(0, 1) for part in parts)
    dq, dk, dv = (
        torch.zeros_like(value) if part.tangent is None else part.tangent.flatten(0, 1)
        for value, part in zip((q0, k0, v0), parts, strict=True)
    )
    scale = 1 / math.sqrt(q.shape[-1])
    future = torch.full((q.shape[2], k.shape[2]), -math.inf, dtype=q.dtype, device=q.device)
    probability = torch.baddbmm(future.triu(1), q0, k0.mT, alpha=scale).softmax(-1)
    d_scores = torch.baddbmm(dq @ k0.mT, q0, dk.mT, beta=scale, alpha=scale)
    pulled = probability * d_scores
    d_probability = pulled - probability * pulled.sum(-1, keepdim=True)
    mixed = probability @ v0
    d_mixed = torch.baddbmm(probability @ dv, d_probability, v0)
    dual: Tensor = forward_ad.make_dual(mixed.view(v.shape), d_mixed.view(v.shape))
    return dual


_REPLACEMENTS = {
    F.layer_norm: layer_norm,
    F.cross_entropy: cross_entropy,
    F.scaled_dot_product_attention: attention,
}
