"""Tier 1: what gradients at about a tenth of a pretraining say, a mean over nearby checkpoints.

The rows' gradients are held whole: 4 bytes x (512 + 192) rows x parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.api.cost import CostMeter
from benchmark.core.randomness import generator
from benchmark.diagnostic.documents import Halves, halves
from benchmark.diagnostic.gradients import RowGradients
from benchmark.diagnostic.pretrained import Checkpoint, put_into
from benchmark.diagnostic.probe import finite_gradients
from benchmark.diagnostic.recommend.choosing import CHOOSERS, best
from benchmark.diagnostic.recommend.text import of_one_document
from benchmark.diagnostic.settings import How

if TYPE_CHECKING:
    from benchmark.data import PreparedData

SHARES = (0.08, 0.10, 0.12)
"""Of the steps of pretraining: where gradients are looked at."""
GENERIC, TARGET, OTHERS = 512, 192, 2048
"""Rows at most: of generic text, of the target, and of generic text to tell the target from."""
KEPT = 16
"""One in so many generic rows is in a batch that a method would choose."""
RANDOM = 16
"""Random batches that a chosen one is compared to."""
EPSILON = 1e-8


@dataclass(frozen=True)
class Probed:
    """Rows ``[n, T]``, how the target's are halved, and what text-based methods would choose.

    ``chosen``: by chooser, for either half of the target, places among the generic rows.
    """

    generic: Tensor
    target: Tensor
    split: Halves
    chosen: dict[str, tuple[np.ndarray, np.ndarray]]


def checkpoint_shares(steps: int) -> tuple[float, ...]:
    """`SHARES` of a pretraining; those that are different steps, from step 1 on."""
    at = dict.fromkeys(max(1, round(share * steps)) for share in SHARES)
    return tuple(step / steps for step in at)


def draw(target_name: str, data: PreparedData, seed: int, device: str) -> Probed:
    """Random generic rows, random rows of the train sample in halves by document.

    Raises:
        UnmeasurableError: the rows drawn of the sample are of one document.
    """
    order = generator(seed, "recommend", "generic").permutation(len(data.generic))
    sample = generator(seed, "recommend", "target").permutation(len(data.target_train))[:TARGET]
    # What tells the target from generic text is not itself chosen from.
    size = min(GENERIC, len(order) // 2)
    generic, other = (
        data.generic.tokens(part) for part in (order[:size], order[size : size + OTHERS])
    )
    target = data.target_train.tokens(sample)
    documents = data.target_train.documents(sample)
    split = halves(documents, generator(seed, "recommend", "gradient halves"))
    if not split.by_document:
        raise of_one_document(target_name, len(sample))
    count = max(1, len(generic) // KEPT)
    chosen = {}
    for name, chooser in CHOOSERS.items():
        found = [
            best(chooser(target[half], other, generic, generator(seed, "recommend", name)), count)
            for half in (split.first, split.second)
        ]
        chosen[name] = (found[0], found[1])
    return Probed(
        generic=torch.from_numpy(generic).to(device),
        target=torch.from_numpy(target).to(device),
        split=split,
        chosen=chosen,
    )


def gradient_measures(
    model: nn.Module,
    probed: Probed,
    checkpoints: Sequence[Checkpoint],
    batch: int,
    seed: int,
    meter: CostMeter,
) -> tuple[dict[str, float], How]:
    """The measures by name, each a mean over the checkpoints; how gradients were computed.

    ``batch``: rows of a training step, of whose gradient the second moment is taken.

    Raises:
        UserError: a gradient is not finite, or weights of another architecture.
    """
    found: list[dict[str, float]] = []
    how: How = "vmap"
    for checkpoint in checkpoints:
        put_into(model, checkpoint)
        at = f"checkpoint {checkpoint.label}"
        with meter.charge("gradients"):
            generic = finite_gradients(model, probed.generic, f"{at}: generic row")
            target = finite_gradients(model, probed.target, f"{at}: target row")
            found.append(measures_at(generic, target, probed, batch, seed))
        how = generic.how
    return {name: float(np.mean([each[name] for each in found])) for name in found[0]}, how


def measures_at(
    generic: RowGradients, target: RowGradients, probed: Probed, batch: int, seed: int
) -> dict[str, float]:
    """The measures of one checkpoint, means over which half of the documents is held out."""
    sides = [target.part(half) for half in (probed.split.first, probed.split.second)]
    means = [side.shares @ side.values for side in sides]
    middle = generic.shares @ generic.values
    scale = preconditioner(generic, batch)
    count = max(1, len(generic.values) // KEPT)
    rng = generator(seed, "recommend", "random batches")
    random = [rng.permutation(len(generic.values))[:count] for _ in range(RANDOM)]
    sums: dict[str, list[float]] = {}
    for number, (seen, held) in enumerate(((means[0], means[1]), (means[1], means[0]))):
        usual = np.mean([_aligned(generic, rows, held, scale) for rows in random])
        scores = (generic.values @ (scale * seen)).double().cpu().numpy()
        chosen = {"gradient": best(scores, count)}
        chosen |= {name: sides[number] for name, sides in probed.chosen.items()}
        for name, rows in chosen.items():
            more = _aligned(generic, rows, held, scale) - float(usual)
            sums.setdefault(f"alignment_{name}", []).append(more)
        sums.setdefault("gradient_cosine", []).append(_cosine(middle, held))
    return {name: float(np.mean(each)) for name, each in sums.items()}


def preconditioner(generic: RowGradients, batch: int) -> Tensor:
    """What Adam multiplies a gradient by, ``1 / (sqrt(v) + eps)``: ``[P]``.

    ``v``, which checkpoints of weights do not hold, is estimated as the second moment of the
    gradient of a random batch: the square of the mean row's, and the rows' variance over ``batch``.
    """
    mean = generic.values.mean(dim=0)
    second = mean**2 + generic.values.var(dim=0) / batch
    return 1.0 / (second.sqrt() + EPSILON)


def _aligned(generic: RowGradients, rows: np.ndarray, held: Tensor, scale: Tensor) -> float:
    """Cosine of a batch's gradient with held-out documents', in the metric of the update."""
    part = generic.part(rows)
    root = scale.sqrt()
    return _cosine(root * (part.shares @ part.values), root * held)


def _cosine(a: Tensor, b: Tensor) -> float:
    return float((a @ b) / (a.norm() * b.norm()).clamp(min=1e-30))
