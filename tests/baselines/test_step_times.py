"""How much longer a step of each method takes than one of pretraining (slow: it times them).

``pytest tests/methods/test_step_times.py -m slow -s`` prints the ratios: model ``mini``, 32 rows of
64 bytes, 1,024 offered, one thread, default hyper-parameters. Methods take turns, so that what
else the machine does falls on all of them; preparation is not part of a step.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.data import prepare
from benchmark.methods.registry import methods, resolve
from benchmark.models.build import build_model
from benchmark.study.study import RunSpec, Study
from benchmark.training.loop import Hooks, InterruptedRunError, Trainer
from tests.conftest import study_content, write_corpus

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

STEPS, TURNS, STEPS_A_TURN = 400, 9, 4


class Turns:
    """A run that is made a few steps at a time."""

    def __init__(self, run: RunSpec, folder: Path) -> None:
        data = prepare(run.data, run.target, folder / "cache")
        model = build_model(
            run.model,
            vocabulary_size=data.vocabulary_size,
            length=data.width,
            tokenizer=data.tokenizer,
            seed=0,
        )
        self.trainer = Trainer(
            run,
            data,
            model,
            methods()[run.method.method],
            folder / run.method.method / "checkpoint.safetensors",
            Hooks(on_step=self._note, should_stop=self._is_over),
        )
        self._times: list[float] = []
        self._left = 0

    def take(self, steps: int) -> list[float]:
        """Go on for some steps; the seconds of each but the first."""
        self._times, self._left = [], steps
        with pytest.raises(InterruptedRunError):
            self.trainer.run()
        return [after - before for before, after in zip(self._times, self._times[1:], strict=False)]

    def _note(self, *_: object) -> None:
        self._times.append(time.perf_counter())
        self._left -= 1

    def _is_over(self) -> bool:
        return self._left == 0


@pytest.fixture
def runs(tmp_path: Path) -> list[RunSpec]:
    content: dict[str, Any] = study_content(*write_corpus(tmp_path / "text"))
    content["data"] |= {"width": 64}
    content["models"] = {"mini": {"preset": "mini"}}
    content["methods"] = list(methods())
    content["training"] = {"steps": STEPS, "batch": 32, "big_batch": 1024, "evaluate_every": STEPS}
    return resolve(Study.model_validate(content)).runs()


def test_step_times(runs: list[RunSpec], tmp_path: Path) -> None:
    torch.set_num_threads(1)
    turns = {run.method.method: Turns(run, tmp_path) for run in runs}
    # CDS selects only after a third of the steps, which it must have made.
    begun = {
        name: turn.take(STEPS // 3 + 3 if name == "cds" else 3) for name, turn in turns.items()
    }
    assert len(begun) == len(runs)
    ratios: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(TURNS):
        seconds = {name: statistics.median(turn.take(STEPS_A_TURN)) for name, turn in turns.items()}
        for name, value in seconds.items():
            ratios[name].append(value / seconds["pretraining"])
    for name, values in ratios.items():
        middle, low, high = statistics.median(values), min(values), max(values)
        print(f"{name:18s} {middle:6.2f}  ({low:.2f} to {high:.2f})")
    assert statistics.median(ratios["random"]) < 1.5
    assert statistics.median(ratios["dds"]) > 2.0
