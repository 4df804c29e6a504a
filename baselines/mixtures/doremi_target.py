"""DoReMi against a target: a domain mixture found with a model adapted to the target.

What: a reference model is trained on the natural mixture and fine-tuned on the target sample;
a proxy that starts from the same reference is then trained on the domains weighted by what the
fine-tuned model still knows better than it; the mean of the weights is the mixture.
Source: ours, after arXiv 2305.10429 (`doremi`), whose loop, update and output it keeps, with
lambda_d = mean over the domain's tokens of (l_proxy - l_adapted), not clipped.
Defaults: eta sums to 360 over the proxy's updates (measured), from natural shares; models of the
main model's size. Fine-tuning takes a tenth of the run's steps at half the peak rate, as in `cds`.
Charged for: what doremi is charged for, and a training step for each step of fine-tuning.
More: docs/methods/doremi_target.md
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from baselines.mixtures.doremi import Doremi, Sampling
from baselines.mixtures.proxy_mixture import ProxyHyperparameters, Share
from benchmark.api import LogUniform, Task, train, train_once, twin


class DoremiTargetHyperparameters(ProxyHyperparameters):
    """Settings of DoReMi against a target."""

    reference_share: Share = 0.2
    """Steps of the reference model, as a share of the run's."""

    sampling: Sampling = "natural"
    """Shares of the domains that the weights start at and that the proxy's rows are drawn by."""

    movement: Annotated[float, Field(gt=0, allow_inf_nan=False), LogUniform(36.0, 1200.0)] = 360.0
    """Sum of the step sizes of the domain weights over the proxy's training, per nat of excess
    loss: how far the weights may go, whatever the number of steps.
    """

    smoothing: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the starting weights that the pull to uniform has replaced by the end."""

    adaptation_share: Share = 0.1
    """Steps of fine-tuning on the target sample, as a share of the run's."""

    adaptation_rate_factor: Annotated[float, Field(gt=0, le=1000), LogUniform(0.05, 5.0)] = 0.5
    """Peak learning rate of fine-tuning, in units of the main model's."""


class DoremiTarget(Doremi):
    """DoReMi with excess loss over a model adapted to the target."""

    name = "doremi_target"
    summary = "domain mixture: proxy against a reference fine-tuned on the target sample"
    revision = 2
    style = ("#7F7F7F", "v", "--")
    Hyperparameters = DoremiTargetHyperparameters
    keeps_last = False

    def __init__(self, task: Task, hyperparameters: DoremiTargetHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        self.adaptation_steps = self.steps_of(hyperparameters.adaptation_share)

    def models(self) -> tuple[nn.Module, nn.Module]:
        reference = self.train_reference()
        return self.adapted(reference), reference

    def step_sizes(self) -> tuple[float, float]:
        settings, steps = self.hyperparameters, self.proxy_steps
        return settings.movement / steps, 1 - (1 - settings.smoothing) ** (1 / steps)

    def excess(self, proxy: Tensor, against: Tensor) -> Tensor:
        return proxy - against

    def adapted(self, reference: nn.Module) -> nn.Module:
        """A twin of the reference, fine-tuned on the target sample."""
        model, purpose = twin(reference), f"{self.name} adaptation"
        batches = partial(self.task.target_batch, stream=self.name)
        rate = self.hyperparameters.adaptation_rate_factor * self.task.peak_rate
        fine_tune = partial(
            train, self.task, model, batches, self.adaptation_steps, purpose, rate=rate
        )
        train_once(self.task, purpose, self.settings, model, fine_tune)
        return model
