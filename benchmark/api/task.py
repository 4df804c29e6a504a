"""What a method is handed: the generic corpus, the target's train sample, the main model.

Nothing here can reach the target's valid or test rows: a task is built from the train sample
and keeps no reference to where it came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.api.ahead import Ahead
from benchmark.api.cost import CostMeter
from benchmark.api.kept import Kept, Result
from benchmark.core.errors import UserError
from benchmark.core.parts import DATA, timed
from benchmark.core.randomness import BlockOrder, EpochOrder, derived_key, generator
from benchmark.data.tokenizers import ByteTokenizer
from benchmark.models.batch import Batch, Rows
from benchmark.models.optimisation import Update, build_optimizer
from benchmark.models.protocol import PAPER, OptimiserConfig
from benchmark.models.transfer import sent


class Task:
    """One (model, target, seed) as a method sees it.

    ``learning_rate`` is the main model's by step, ``optimiser`` the settings that it and every
    auxiliary model is trained with; ``decode`` turns token rows ``[n, T]`` into the text of each,
    and is None where rows hold no text. ``image``: channels, height and width where rows are
    images; None: they are tokens in sequence.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        generic: Rows,
        target: np.ndarray,
        vocabulary_size: int,
        batch_size: int,
        big_batch_size: int,
        steps: int,
        seed: int,
        meter: CostMeter,
        learning_rate: Callable[[int], float],
        optimiser: OptimiserConfig = PAPER,
        decode: Callable[[np.ndarray], list[str]] | None = None,
        image: tuple[int, int, int] | None = None,
        kept: Kept | None = None,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self.model = model
        self.device = next(model.parameters()).device
        self.generic = generic
        self.vocabulary_size = vocabulary_size
        self.batch_size = batch_size
        self.big_batch_size = big_batch_size
        self.steps = steps
        self.seed = seed
        self.meter = meter
        self.learning_rate = learning_rate
        self.optimiser = optimiser
        self.decode = decode
        self.image = image
        self.last_update: Update | None = None
        """Losses of the rows that the main model was last trained on, for ``observe``."""
        self._kept, self._pause = kept, pause
        self._target = torch.from_numpy(target).to(self.device)
        self._ahead = Ahead(self._offered, steps)
        self._generic_order = BlockOrder(
            len(generic), big_batch_size, min(batch_size, big_batch_size), seed, "generic"
        )

    @property
    def target_size(self) -> int:
        """Rows in the target's train sample."""
        return len(self._target)

    @property
    def width(self) -> int:
        """Cells in a row, padding included."""
        return int(self._target.shape[1])

    @property
    def has_byte_rows(self) -> bool:
        """Whether a token is the value of a UTF-8 byte."""
        return self.image is None and self.vocabulary_size == ByteTokenizer.vocabulary_size

    @cached_property
    def peak_rate(self) -> float:
        """The highest learning rate that the main model is trained at."""
        return max(self.learning_rate(step) for step in range(self.steps))

    def optimizer(self, parameters: Iterable[Tensor]) -> torch.optim.AdamW:
        """The main model's optimiser for other parameters; its rate is set each step."""
        return build_optimizer(parameters, self.optimiser)

    @timed(DATA)
    def generic_batch(self, step: int, size: int | None = None) -> Batch:
        """The first ``size`` generic rows of this step, by default one batch.

        Each step owns ``big_batch_size`` places of an epoch-wise shuffled order, and every
        method reads them from the front: what a small batch holds, a bigger one holds too. Who
        reads one batch a step meets every row once before any twice, and so does who reads all
        (`benchmark.core.randomness.BlockOrder`).
        """
        rows, positions = self._ahead.take(step, size or self.batch_size)
        return Batch(self._arrived(rows), positions)

    def _offered(self, step: int, size: int) -> tuple[Tensor, np.ndarray]:
        positions = self.generic_places(step, size)
        return self._fetched(positions), positions

    def generic_places(self, step: int, size: int | None = None) -> np.ndarray:
        """The positions in the corpus of :meth:`generic_batch`'s rows, without reading them."""
        size = size or self.batch_size
        if size > self.big_batch_size:
            raise UserError(
                f"training.big_batch: {self.big_batch_size} rows a step are too few for "
                f"{size // self.batch_size} x batch {self.batch_size} = {size}: raise it to "
                f"{size} or lower the method's downsampling"
            )
        return self._generic_order.items(step * self.big_batch_size, size)

    def big_batch(self, step: int, downsampling: int | None = None) -> Batch:
        """``downsampling`` generic batches of this step, by default all that the study offers."""
        return self.generic_batch(step, self.big_batch_rows(downsampling))

    def big_batch_rows(self, downsampling: int | None = None) -> int:
        """How many rows that are."""
        return self.big_batch_size if downsampling is None else self.batch_size * downsampling

    @timed(DATA)
    def generic_rows(self, positions: np.ndarray) -> Batch:
        """The generic rows at ``positions``."""
        return Batch(self._arrived(self._fetched(positions)), positions)

    def _fetched(self, positions: np.ndarray) -> Tensor:
        """The rows, ready to be sent: as narrow as they are stored, where there is a way to go."""
        if self.device.type == "cpu":
            return torch.from_numpy(self.generic.tokens(positions))
        stored = getattr(self.generic, "stored", self.generic.tokens)
        return torch.from_numpy(stored(positions)).pin_memory()

    def _arrived(self, rows: Tensor) -> Tensor:
        return sent(rows, self.device).to(torch.int64)

    @timed(DATA)
    def target_batch(self, step: int, size: int | None = None, stream: str = "target") -> Batch:
        """``size`` rows of the target sample, in an epoch-wise shuffled order of its own.

        Streams with other names are independent orders of the same rows.
        """
        size = size or self.batch_size
        order = EpochOrder(self.target_size, self.seed, stream)
        self.meter.count_target(size / self.target_size)
        chosen = sent(order.items(step * size, size), self.device)
        return Batch(self._target[chosen], np.full(size, -1))

    @timed(DATA)
    def target_sample(self) -> Tensor:
        """The whole train sample ``[k, T]``; charged as one pass over it."""
        self.meter.count_target(1.0)
        return self._target.clone()

    def once(
        self,
        name: str,
        depends_on: Mapping[str, Any],
        compute: Callable[[], Result],
        *,
        rows_alone: bool = False,
    ) -> Result:
        """What ``compute`` returns, an array or tensors by name, computed once.

        After a kill, and in other runs that may share it, it is found done, and billed all the
        same. Runs share it where rows, code, kind of machine, ``name`` and ``depends_on`` are the
        same, and main model, budget and seed too, unless it depends on ``rows_alone``. Name in
        ``depends_on`` every setting that it depends on, and the seed, if that and rows are all.
        Call it in ``prepare``, or at a step that is the only one of its phase.
        """
        if self._kept is None:
            return compute()
        result = self._kept.once(
            name, depends_on, compute, rows_alone=rows_alone, meter=self.meter, device=self.device
        )
        # Whoever asks the run to stop is heard here: what is kept is not lost.
        self._pause()
        return result

    def rng(self, step: int, purpose: str) -> np.random.Generator:
        """Randomness that depends on seed, step and purpose only."""
        return generator(self.seed, step, purpose)

    def derived_seed(self, purpose: str) -> int:
        """A seed for torch, from the run's seed and ``purpose``."""
        return derived_key(self.seed, purpose)

    def gumbel(self, step: int, purpose: str, count: int) -> Tensor:
        """Standard Gumbel noise ``[count]`` in the default precision."""
        noise = self.rng(step, purpose).gumbel(size=count)
        return sent(noise, self.device).to(torch.get_default_dtype())

    def uniform_subset(self, step: int, purpose: str, of: int, count: int) -> Tensor:
        """``count`` distinct indices below ``of``, uniform: int64 ``[count]``."""
        chosen = self.rng(step, purpose).choice(of, size=count, replace=False)
        return sent(chosen, self.device)
