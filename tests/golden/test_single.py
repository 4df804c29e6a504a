"""One-step quantities of the reference: float32, relative error under 1e-5."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.online.anograd import ANOGRAD
from baselines.online.classifier import classification_loss
from baselines.online.dds import DDS, DDSHyperparameters
from baselines.online.draw import draw_without_replacement
from baselines.online.selector import OnlineSelector
from baselines.online.soba import SOBA
from baselines.online.weight_network import example_log_probability
from benchmark.models.influence import dot, gradient, influence, parameters_of
from benchmark.models.losses import per_example_loss, token_counts, token_share
from benchmark.models.optimisation import build_optimizer
from benchmark.models.protocol import inverse_square_root
from benchmark.models.row_gradients import RowGradients
from benchmark.models.transformer import Transformer
from tests.golden.reference import (
    NETWORK,
    ROW,
    SIZE,
    main_model,
    network_values,
    rows_of,
    tensor,
    unflatten,
    weight_network,
)

Arrays = dict[str, np.ndarray]
NETWORKS = pytest.mark.parametrize("kind", ["bow", "cnn"])


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm().clamp(min=1e-30))


def tree_error(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    assert ours.keys() == theirs.keys()
    flat = [torch.cat([tree[name].flatten() for name in sorted(tree)]) for tree in (ours, theirs)]
    return relative_error(*flat)


@pytest.fixture
def model(single: Arrays) -> Transformer:
    return main_model(single, "main/")


@pytest.fixture
def generic(single: Arrays) -> Tensor:
    return rows_of(single["gen/labels"])


@pytest.fixture
def target(single: Arrays) -> Tensor:
    return rows_of(single["spec/labels"])


@pytest.mark.parametrize("batch", ["gen", "spec"])
def test_losses(single: Arrays, model: Transformer, batch: str) -> None:
    rows = rows_of(single[f"{batch}/labels"])
    with torch.no_grad():
        losses = model(rows)
        means = per_example_loss(model, rows)
    mask = rows > 0
    theirs = tensor(single[f"{batch}/token_loss"])
    assert relative_error(losses[mask], theirs[mask]) < 1e-5
    assert float(losses[~mask].abs().sum()) == 0.0
    assert relative_error(means, tensor(single[f"{batch}/example_loss_mean"])) < 1e-5


def test_logits(single: Arrays, model: Transformer, target: Tensor) -> None:
    with torch.no_grad():
        ours = model.logits(target)[0]
    real = target[0] > 0
    assert relative_error(ours[real], tensor(single["spec/logits_first_example"])[real]) < 1e-5


@pytest.mark.parametrize("batch", ["gen", "spec"])
def test_main_gradient(single: Arrays, model: Transformer, batch: str) -> None:
    rows = rows_of(single[f"{batch}/labels"])
    loss, ours = gradient(model, rows, token_share(rows))
    assert float(loss) == pytest.approx(float(single[f"{batch}/mean_loss_normalized"]), rel=1e-5)
    theirs = unflatten(single[f"{batch}/grad_normalized_flat"], single)
    assert tree_error(ours, theirs) < 1e-5


def test_optimizer_and_schedule(single: Arrays, model: Transformer, target: Tensor) -> None:
    rates = [inverse_square_root(step, 0.002, 8) for step in range(41)]
    np.testing.assert_allclose(rates, single["optim/lr_steps0_40"], rtol=1e-6)
    _, s = gradient(model, target, token_share(target))
    optimizer = build_optimizer(list(model.parameters()))
    for step, factor in enumerate((1.0, 1.0, -0.5)):
        for name, parameter in model.named_parameters():
            parameter.grad = factor * s[name]
        optimizer.param_groups[0]["lr"] = rates[step]
        optimizer.step()
    theirs = unflatten(single["optim/after_step3_flat"], single)
    assert tree_error(parameters_of(model), theirs) < 1e-5


@NETWORKS
@pytest.mark.parametrize(("rows_name", "suffix"), [("gen", "large"), ("spec", "spec")])
def test_network_outputs(single: Arrays, kind: str, rows_name: str, suffix: str) -> None:
    rows = rows_of(single[f"{rows_name}/labels"])
    with torch.no_grad():
        scores = weight_network(single, f"weight_{kind}/", kind)(rows)
    outputs = f"weight_{kind}_out"
    assert relative_error(scores, tensor(single[f"{outputs}/float_example_{suffix}"])) < 1e-5
    cells = tensor(single[f"{outputs}/probability_token_{suffix}"])
    mass = example_log_probability(scores, rows).exp()
    assert relative_error(mass, (cells * (rows > 0)).sum(1)) < 1e-5


@NETWORKS
def test_draw(single: Arrays, generic: Tensor, kind: str) -> None:
    with torch.no_grad():
        scores = weight_network(single, f"weight_{kind}/", kind)(generic)
    log_weights = example_log_probability(scores, generic)
    assert relative_error(log_weights.exp(), tensor(single[f"soft_{kind}/multi_prob"])) < 1e-5
    drawn = draw_without_replacement(log_weights, 4, tensor(single[f"soft_{kind}/multi_gumbel"]))
    assert drawn.tolist() == single[f"soft_{kind}_lr0.1/multi_ids"].tolist()
    rows = generic[drawn]
    shares = token_share(rows)[:, None] / token_counts(rows)[:, None] * (rows > 0)
    theirs = tensor(single[f"soft_{kind}_lr0.1/selected_token_weight"])
    assert relative_error(shares, theirs) < 1e-5


class _OneStep:
    """As much of a task as an outer gradient reads."""

    vocabulary_size = 256
    image = None
    device = torch.device("cpu")

    def __init__(self, model: Transformer) -> None:
        self.model = model

    def derived_seed(self, purpose: str) -> int:
        return len(purpose)

    def learning_rate(self, step: int) -> float:
        return inverse_square_root(step, 0.002, 8)

    optimizer = staticmethod(build_optimizer)


def selector_at(
    single: Arrays, method: type[OnlineSelector], model: Transformer, kind: str, **settings: object
) -> OnlineSelector:
    hyperparameters = method.Hyperparameters(network=NETWORK[kind], **settings)
    selector = method(_OneStep(model), hyperparameters)  # type: ignore[arg-type]
    selector.network = weight_network(single, f"weight_{kind}/", kind)
    return selector


def network_gradient_error(
    single: Arrays, selector: OnlineSelector, ours: list[Tensor], prefix: str, kind: str
) -> float:
    names = [name for name, _ in selector.network.named_parameters()]
    named = dict(zip(names, ours, strict=True))
    theirs = network_values(single, prefix, kind)
    # A softmax does not see the last bias: its true gradient is zero, what is left is rounding.
    assert float(named.pop("score.bias").abs()) < 1e-7
    theirs.pop("score.bias")
    return tree_error(named, theirs)


@NETWORKS
@pytest.mark.parametrize("rate", [0.1, 0.0])
def test_dds_meta_gradient(
    single: Arrays, model: Transformer, generic: Tensor, target: Tensor, kind: str, rate: float
) -> None:
    at = f"soft_{kind}_lr{rate:g}"
    selector = selector_at(single, DDS, model, kind, look_ahead=rate)
    assert isinstance(selector.hyperparameters, DDSHyperparameters)
    ours = selector.outer_gradient(
        0, RowGradients(model, generic[single[f"{at}/rand_ids"]]), target
    )
    error = network_gradient_error(single, selector, ours, f"{at}/meta_grad/", kind)
    assert error < 1e-5
    outer_loss = selector.observe(0)["outer_loss"]
    assert outer_loss == pytest.approx(float(single[f"{at}/metrics"][0]), rel=1e-5)


@NETWORKS
@pytest.mark.parametrize("hessian", [False, True])
def test_anograd_meta_gradient(
    single: Arrays, model: Transformer, generic: Tensor, target: Tensor, kind: str, hessian: bool
) -> None:
    at = f"anograd_{kind}_hf{0 if hessian else 1}"
    selector = selector_at(single, ANOGRAD, model, kind, hessian=hessian)
    assert isinstance(selector, ANOGRAD)
    with torch.no_grad():
        selector.scale.fill_(float(single[f"weight_{kind}/WeightingHead_0/post_transform_scale"]))
    *ours, scale = selector.outer_gradient(
        0, RowGradients(model, generic[single[f"{at}/rand_ids"]]), target
    )
    assert network_gradient_error(single, selector, ours, f"{at}/meta_grad/", kind) < 1e-4
    # The objective does not depend on the scale but for the epsilon: its gradient is rounding.
    assert float(scale.abs()) < 1e-3 * float(torch.cat([g.flatten() for g in ours]).norm())
    objective = selector.observe(0)["objective"]
    assert objective == pytest.approx(float(single[f"{at}/metrics"][0]), rel=1e-5)


def soba_at(single: Arrays, model: Transformer, kind: str, **settings: object) -> SOBA:
    selector = selector_at(single, SOBA, model, kind, **settings)
    assert isinstance(selector, SOBA)
    with torch.no_grad():
        for name, value in unflatten(single["soba/v_flat"], single).items():
            selector.v[name].copy_(value)
    return selector


@NETWORKS
def test_soba_meta_gradient(
    single: Arrays, model: Transformer, generic: Tensor, target: Tensor, kind: str
) -> None:
    # At step 0 the rate is 0: v stays what it is.
    selector = soba_at(single, model, kind)
    ours = selector.outer_gradient(
        0, RowGradients(model, generic[single[f"soba_{kind}/multi_ids"]]), target
    )
    assert network_gradient_error(single, selector, ours, f"soba_{kind}/meta_grad/", kind) < 1e-5


@NETWORKS
@pytest.mark.parametrize("hessian", [False, True])
def test_soba_linear_direction(
    single: Arrays, model: Transformer, generic: Tensor, target: Tensor, kind: str, hessian: bool
) -> None:
    selector = soba_at(single, model, kind, hessian=hessian)
    drawn = RowGradients(model, generic[single[f"soba_{kind}/multi_ids"]])
    at = f"soba_{kind}/linear_direction" if hessian else "soba/linear_direction_hessian_free"
    theirs = unflatten(single[f"{at}_flat"], single)
    assert tree_error(selector.linear_direction(drawn, target), theirs) < 1e-5


@NETWORKS
def test_classifier_gradient(single: Arrays, generic: Tensor, target: Tensor, kind: str) -> None:
    network = weight_network(single, f"weight_{kind}/", kind)
    scores = network(generic)
    loss = classification_loss(scores, network(target))
    assert float(loss.detach()) == pytest.approx(
        float(single[f"classifier_{kind}/metrics"][0]), rel=1e-5
    )
    loss.backward()
    ours = {name: value.grad for name, value in network.named_parameters()}
    theirs = network_values(single, f"classifier_{kind}/classifier_grad/", kind)
    assert tree_error(ours, theirs) < 1e-5  # type: ignore[arg-type]
    top = torch.topk(scores, 4).indices
    assert top.tolist() == single[f"classifier_{kind}/top_ids"].tolist()


def test_influence_is_the_directional_derivative(
    single: Arrays, model: Transformer, generic: Tensor
) -> None:
    delta = {
        name: value - parameters_of(model)[name]
        for name, value in parameters_of(main_model(single, "mainB/")).items()
    }
    norm = float(dot(delta, delta).sqrt())
    assert norm == pytest.approx(float(single["diag/delta_norm"]), rel=1e-5)
    ours = -influence(model, generic, delta) * token_share(generic) / (norm + 1e-6)
    assert relative_error(ours, tensor(single["diag/dot_prod_with_delta_params"])) < 1e-5


@pytest.mark.parametrize("at_b", [False, True])
def test_influence_along_the_target_gradient(
    single: Arrays, model: Transformer, generic: Tensor, target: Tensor, at_b: bool
) -> None:
    source = main_model(single, "mainB/") if at_b else model
    _, s = gradient(source, target, token_share(target))
    norm = float(dot(s, s).sqrt())
    ours = influence(model, generic, s) * token_share(generic) / (norm + 1e-6)
    theirs = single["diag/gradient_cosine" + ("_A_vs_B" if at_b else "")]
    assert relative_error(ours, tensor(theirs)) < 1e-5


def test_influence_equals_per_example_gradients(model: Transformer, generic: Tensor) -> None:
    direction = {name: torch.randn_like(value) for name, value in model.named_parameters()}
    each = []
    for row in generic:
        _, g = gradient(model, row[None], torch.ones(1))
        each.append(dot(g, direction))
    torch.testing.assert_close(
        influence(model, generic, direction), torch.stack(each), rtol=2e-5, atol=2e-5
    )


def test_sizes(model: Transformer) -> None:
    assert sum(p.numel() for p in model.parameters()) == 25088
    assert (SIZE.width, ROW) == (32, 32)
