"""DoReMi against a target: a domain mixture found with a model adapted to the target.

What: a reference model is trained on the natural mixture and fine-tuned on the target sample;
a proxy that starts from the same reference is then trained on the domains weighted by what the
fine-tuned model still knows better than it; the mean of the weights is the mixture.
Source: ours, after arXiv 2305.10429 (`baselines.doremi`), whose loop, update and output it keeps.
Formula: lambda_d = mean over the domain's tokens of (l_proxy - l_adapted), not clipped.
Why not just another reference in DoReMi's formula: with a proxy trained from scratch,
l_proxy - l_adapted is at first large wherever text is easy to learn, target or not, and clipped
token by token it is positive even where fine-tuning hurt, the more so the further a domain is
from the target, because both models' losses scatter. Here the proxy starts at the reference, so
the first excess is l_reference - l_adapted, the gain of fine-tuning on that domain, in which the
domain's own entropy cancels (the contrast of Moore and Lewis 2010 and of CDS, by domain); and
the sign is kept, because a domain on which fine-tuning hurts is evidence against it. As the
proxy learns a favoured domain its excess there falls, which keeps the weights from one-hot.
Defaults: those of doremi; fine-tuning takes a tenth of the run's steps at 1e-3, the default rate
of the studies' fine-tuning stage.
Charged for: what doremi is charged for, and a training step for each step of fine-tuning.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from baselines.base import LogUniform
from baselines.doremi import Doremi, DoremiHyperparameters, Share
from benchmark.cost import RowFlops
from benchmark.task import Task


class DoremiTargetHyperparameters(DoremiHyperparameters):
    """Settings of DoReMi against a target."""

    adaptation_share: Share = 0.1
    """Steps of fine-tuning on the target sample, as a share of the run's."""

    adaptation_rate: Annotated[float, Field(gt=0, lt=1), LogUniform(1e-4, 1e-2)] = 1e-3
    """Peak learning rate of fine-tuning."""


class DoremiTarget(Doremi):
    """DoReMi with excess loss over a model adapted to the target."""

    name = "doremi_target"
    summary = "domain mixture: proxy against a reference fine-tuned on the target sample"
    Hyperparameters = DoremiTargetHyperparameters

    def __init__(self, task: Task, hyperparameters: DoremiTargetHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        self.adaptation_steps = self.steps_of(hyperparameters.adaptation_share)

    def models(self) -> tuple[nn.Module, nn.Module]:
        reference = self.train_reference()
        return self.adapted(reference), reference

    def excess(self, proxy: Tensor, against: Tensor) -> Tensor:
        return proxy - against

    def selection_flops(self, row: RowFlops) -> float:
        adapting = self.adaptation_steps * self.task.batch_size * row.gradient
        return super().selection_flops(row) + adapting

    def adapted(self, reference: nn.Module) -> nn.Module:
        """A twin of the reference, fine-tuned on the target sample."""
        return self.train_twin(
            reference,
            partial(self.task.target_batch, stream=self.name),
            self.adaptation_steps,
            self.hyperparameters.adaptation_rate,
            "adaptation",
        )
