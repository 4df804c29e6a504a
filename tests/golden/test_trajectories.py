"""Twenty-step runs of the reference: float64, 1e-6 on losses and on weight-network outputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.mixing import Mixing
from baselines.online.anograd import ANOGRAD
from baselines.online.classifier import Classifier
from baselines.online.dds import DDS
from baselines.online.selector import OnlineSelector
from baselines.online.soba import SOBA
from baselines.online.weight_network import example_log_probability
from baselines.pretraining import Pretraining
from benchmark.api.baseline import Baseline
from benchmark.models.batch import Batch
from benchmark.models.influence import dot, parameters_of
from benchmark.models.losses import per_example_loss, token_counts, token_share
from benchmark.models.optimisation import build_optimizer, update
from benchmark.models.transformer import Transformer
from tests.golden.reference import (
    NETWORK,
    RecordedTask,
    main_model,
    network_values,
    rows_of,
    tensor,
    weight_network,
)

Arrays = dict[str, np.ndarray]
NETWORKS = pytest.mark.parametrize("kind", ["bow", "cnn"])
pytestmark = pytest.mark.usefixtures("float64")

# The reference divides by 1e-6 plus a sum that is one.
NORMALISATION = 1 / (1 + 1e-6)


def evaluate(model: Transformer, trajectory: Arrays, which: str) -> float:
    rows = rows_of(trajectory[f"eval/{which}/labels"])
    with torch.no_grad():
        return float(token_share(rows) @ per_example_loss(model, rows)) * NORMALISATION


def replay(trajectory: Arrays, method: Baseline, model: Transformer) -> dict[str, list[float]]:
    """Train on the recorded batches with the real update; the figures that were recorded."""
    optimizer = build_optimizer(list(model.parameters()))
    figures: dict[str, list[float]] = {name: [] for name in ("loss", "specific", "generic", "norm")}
    for step in range(20):
        batch = method.batch(step)
        rate = float(trajectory["lr"][step])
        figures["loss"].append(update(model, optimizer, batch, rate).loss * NORMALISATION)
        method.observe(step)
        figures["specific"].append(evaluate(model, trajectory, "specific"))
        figures["generic"].append(evaluate(model, trajectory, "generic"))
        here = parameters_of(model)
        figures["norm"].append(float(dot(here, here).sqrt()))
    return figures


def assert_same_run(figures: dict[str, list[float]], trajectory: Arrays, run: str) -> None:
    compared = {
        "specific": "eval_specific_loss",
        "generic": "eval_generic_loss",
        "norm": "param_norm",
    }
    for ours, theirs in compared.items():
        np.testing.assert_allclose(figures[ours], trajectory[f"{run}/{theirs}"], rtol=1e-6, atol=0)


def test_standard(trajectory: Arrays) -> None:
    model = main_model(trajectory, "init/main/")
    task = RecordedTask(trajectory, "standard", model)
    figures = replay(trajectory, Pretraining(task, Pretraining.Hyperparameters()), model)
    assert_same_run(figures, trajectory, "standard")
    np.testing.assert_allclose(figures["loss"], trajectory["standard/generic_loss"], rtol=1e-6)


def test_mixing(trajectory: Arrays) -> None:
    model = main_model(trajectory, "init/main/")
    task = RecordedTask(trajectory, "mixed", model)
    method = Mixing(task, Mixing.Hyperparameters(form="gradient", share=0.1))
    assert_same_run(replay(trajectory, method, model), trajectory, "mixed")


def recorded(method: type[OnlineSelector], trajectory: Arrays, run: str) -> type[OnlineSelector]:
    """The method, drawing what the reference drew and noting the weights it drew with."""

    class Recorded(method):  # type: ignore[misc, valid-type]
        task: RecordedTask
        outputs: list[Tensor]

        def draw(self, step: int, log_weights: Tensor) -> Tensor:
            self.outputs.append(log_weights.exp())
            return self.task.chosen(step, "selected_id")

        def sub_batch(self, step: int, big: Batch, chosen: Tensor) -> Tensor:
            if f"{run}/rand_id" in trajectory:
                return self.task.chosen(step, "rand_id")
            return super().sub_batch(step, big, chosen)

    return Recorded


def selector_run(
    method: type[OnlineSelector], trajectory: Arrays, name: str, kind: str, **settings: object
) -> tuple[OnlineSelector, dict[str, list[float]]]:
    run = f"{name}_{kind}"
    model = main_model(trajectory, "init/main/")
    hyperparameters = method.Hyperparameters(network=NETWORK[kind], network_rate=0.01, **settings)
    selector = recorded(method, trajectory, run)(
        RecordedTask(trajectory, run, model), hyperparameters
    )
    selector.outputs = []  # type: ignore[attr-defined]
    with torch.no_grad():
        initial = dict(weight_network(trajectory, f"init/weight_{kind}/", kind).named_parameters())
        for parameter_name, parameter in selector.network.named_parameters():
            parameter.copy_(initial[parameter_name])
    return selector, replay(trajectory, selector, model)


def assert_same_network(selector: OnlineSelector, trajectory: Arrays, run: str, kind: str) -> None:
    theirs = network_values(trajectory, f"{run}/final_weight/", kind)
    for name, value in selector.network.named_parameters():
        # The last bias has a gradient of exactly zero, which Adam's eps turns into drift.
        if name != "score.bias":
            torch.testing.assert_close(value.detach(), theirs[name], rtol=0, atol=1e-6)


@NETWORKS
def test_dds(trajectory: Arrays, kind: str) -> None:
    run = f"soft_{kind}"
    selector, figures = selector_run(DDS, trajectory, "soft", kind, look_ahead=0.1)
    assert_same_run(figures, trajectory, run)
    for step, ours in enumerate(selector.outputs):  # type: ignore[attr-defined]
        theirs = tensor(trajectory[f"{run}/weight_out"][step]).sum(1)
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    assert_same_network(selector, trajectory, run, kind)


@NETWORKS
def test_anograd(trajectory: Arrays, kind: str) -> None:
    run = f"anograd_{kind}"
    selector, figures = selector_run(ANOGRAD, trajectory, "anograd", kind)
    assert_same_run(figures, trajectory, run)
    labels = trajectory["pool/generic_labels"]
    place = {int(i): number for number, i in enumerate(trajectory["pool/generic_id"])}
    for step, ours in enumerate(selector.outputs):  # type: ignore[attr-defined]
        ids = trajectory[f"{run}/generic_id"][step]
        counts = token_counts(rows_of(labels[[place[int(i)] for i in ids]]))
        # The scale drifts by rounding: compare what the weights say relative to each other.
        theirs = tensor(trajectory[f"{run}/weight_out"][step]) * counts
        torch.testing.assert_close(ours, theirs / theirs.sum(), rtol=1e-6, atol=1e-6)
    assert_same_network(selector, trajectory, run, kind)


@NETWORKS
def test_soba(trajectory: Arrays, kind: str) -> None:
    run = f"soba_{kind}"
    selector, figures = selector_run(SOBA, trajectory, "soba", kind)
    assert isinstance(selector, SOBA)
    assert_same_run(figures, trajectory, run)
    for step, ours in enumerate(selector.outputs):  # type: ignore[attr-defined]
        theirs = tensor(trajectory[f"{run}/weight_out"][step]).sum(1)
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    norm = float(dot(selector.v, selector.v).detach().sqrt())
    assert norm == pytest.approx(trajectory[f"{run}/linear_param_norm"][-1], rel=1e-6)
    assert_same_network(selector, trajectory, run, kind)


@NETWORKS
def test_classifier(trajectory: Arrays, kind: str) -> None:
    run = f"classifier_{kind}"
    model = main_model(trajectory, "init/main/")
    task = RecordedTask(trajectory, run, model)
    method = Classifier(task, Classifier.Hyperparameters(network=NETWORK[kind], network_rate=0.01))
    with torch.no_grad():
        initial = dict(weight_network(trajectory, f"init/weight_{kind}/", kind).named_parameters())
        for name, parameter in method.network.named_parameters():
            parameter.copy_(initial[name])
    assert_same_run(replay(trajectory, method, model), trajectory, run)
    theirs = network_values(trajectory, f"{run}/final_weight/", kind)
    for name, value in method.network.named_parameters():
        torch.testing.assert_close(value.detach(), theirs[name], rtol=0, atol=1e-6)


def test_lengths_differ(trajectory: Arrays) -> None:
    """The vectors would not show a wrong length factor if all rows were equally long."""
    counts = token_counts(rows_of(trajectory["pool/generic_labels"]))
    assert len(set(counts.tolist())) > 1
    scores = torch.zeros(len(counts))
    rows = rows_of(trajectory["pool/generic_labels"])
    torch.testing.assert_close(example_log_probability(scores, rows).exp(), counts / counts.sum())
