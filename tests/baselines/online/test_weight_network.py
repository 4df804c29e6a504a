"""Weight networks: what they compute, and how they start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from baselines.online import tap_scores
from baselines.online.tap_scores import convolution_scores
from baselines.online.weight_network import NetworkConfig, build_network


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def direct(
    tokens: Tensor, embedding: Tensor, kernel: Tensor, bias: Tensor, score: Tensor
) -> Tensor:
    """The convolution itself."""
    past = F.pad(embedding[tokens].transpose(1, 2), (kernel.shape[2] - 1, 0))
    return F.relu(F.conv1d(past, kernel, bias)).transpose(1, 2) @ score


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("vocabulary", [7, 5000])
@pytest.mark.parametrize("taps", [1, 7])
@pytest.mark.parametrize("at_once", [1, 64, 2**19])
def test_tables_give_the_convolution(
    vocabulary: int, taps: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tap_scores.FLOATS_AT_ONCE, "cpu", at_once)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(vocabulary, (6, 11), generator=generator)
    given = [
        torch.randn(shape, generator=generator, requires_grad=True)
        for shape in ((vocabulary, 5), (9, 5, taps), (9,), (9,))
    ]
    ours, theirs = convolution_scores(tokens, *given), direct(tokens, *given)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    pull = torch.randn(ours.shape, generator=generator)
    for mine, other in zip(
        torch.autograd.grad(ours, given, pull),
        torch.autograd.grad(theirs, given, pull),
        strict=True,
    ):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["convolution", "bag_of_ngrams"])
def test_initial_weights_are_the_sources(kind: str) -> None:
    """Unit-normal embeddings, Xavier-uniform kernels, LeCun-normal last layer of a convolution."""
    config = NetworkConfig.model_validate({"kind": kind, "embedding": 64, "hidden": 96})
    network = build_network(config, 2000, seed=0)
    weights = dict(network.named_parameters())
    embedding = weights["embedding.weight"].detach()
    assert float(embedding.std()) == pytest.approx(1, rel=0.02)
    assert float(embedding.abs().max()) > 3
    kernel = weights["convolution.weight" if kind == "convolution" else "hidden.weight"].detach()
    taps = 7 if kind == "convolution" else 1
    bound = (6 / ((64 + 96) * taps)) ** 0.5
    assert bound * 0.98 < float(kernel.abs().max()) <= bound
    assert float(kernel.std()) == pytest.approx(bound / 3**0.5, rel=0.03)
    score = weights["score.weight"].detach()
    if kind == "convolution":
        assert float(score.std()) == pytest.approx(96**-0.5, rel=0.25)
        assert float(score.abs().max()) <= 2 * 96**-0.5 / 0.87962566
    else:
        assert float(score.abs().max()) <= (6 / 97) ** 0.5
    assert not any(value.any() for name, value in weights.items() if name.endswith("bias"))
