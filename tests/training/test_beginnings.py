"""A beginning that runs share is computed once and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.data import PreparedData
from benchmark.methods.registry import find_method
from benchmark.models.checkpoint import weights_hash
from benchmark.study.environment import describe
from benchmark.study.study import RunSpec
from benchmark.training.beginnings import SharedStage, stage_leaders
from benchmark.training.hooks import Hooks
from benchmark.training.loop import Trainer
from benchmark.training.start import initial_model

MakeSpec = Callable[..., RunSpec]


@pytest.fixture
def run(data: PreparedData, tmp_path: Path) -> Callable[..., tuple[Trainer, list[int]]]:
    """Run to the end; the trainer, and the steps that it made."""

    def go(spec: RunSpec, cache: str, rows: str = "") -> tuple[Trainer, list[int]]:
        steps: list[int] = []
        hooks = Hooks(
            on_step=lambda stage, step, *_: steps.append(step) if stage == "trained" else None
        )
        method = find_method(spec.method.method)
        fingerprint = rows or data.fingerprint
        stage = SharedStage(spec, fingerprint, describe("cpu", 1), tmp_path / cache)
        file = tmp_path / cache / f"{spec.run_id}.safetensors"
        trainer = Trainer(spec, data, initial_model(spec, data), method, file, hooks, stage)
        trainer.run()
        return trainer, steps

    return go


def figures(trainer: Trainer) -> tuple[str, Any, Any]:
    """All that a run leaves behind but seconds."""
    lines = [{k: v for k, v in m.items() if k != "seconds"} for m in trainer.progress.metrics]
    results = [
        {**result, "cost": {k: v for k, v in result["cost"].items() if k != "seconds"}}
        for result in trainer.progress.results
    ]
    return weights_hash(trainer.model), lines, results


def test_a_run_goes_on_from_a_shared_beginning_to_the_same_bits(
    run: Callable[..., Any], spec: MakeSpec
) -> None:
    cds, pretraining = spec("cds"), spec("pretraining")
    alone, all_steps = run(pretraining, "alone")
    alone_cds, _ = run(cds, "alone, too")
    first, _ = run(cds, "shared")
    second, steps = run(pretraining, "shared")
    assert all_steps == list(range(1, 13))
    assert steps == list(range(5, 13))
    assert figures(second) == figures(alone)
    assert figures(first) == figures(alone_cds)
    # The next of the same kind need not compute it either.
    again, steps = run(spec("cds", {"adaptation_share": 0.5}), "shared")
    assert steps == list(range(5, 13))
    assert figures(again)[0] != figures(first)[0]


def test_nothing_is_shared_with_runs_that_differ(run: Callable[..., Any], spec: MakeSpec) -> None:
    run(spec("cds"), "shared")
    for other in (
        spec("pretraining", rate=0.002),
        spec("pretraining").model_copy(update={"seed": 1}),
    ):
        assert run(other, "shared")[1][0] == 1
    assert run(spec("pretraining"), "shared", rows="other rows")[1][0] == 1
    shorter = spec("cds", {"pretrain_share": 0.1})
    assert run(shorter, "shared")[1][0] == 1


def test_methods_without_such_a_beginning_leave_and_take_nothing(
    run: Callable[..., Any], spec: MakeSpec, tmp_path: Path
) -> None:
    assert run(spec("random"), "shared")[1][0] == 1
    assert run(spec("pretraining"), "shared")[1][0] == 1
    assert not (tmp_path / "shared" / "stages").exists()


def test_who_goes_first(spec: MakeSpec) -> None:
    pretraining, cds, longer = (
        spec("pretraining"),
        spec("cds"),
        spec("cds", {"pretrain_share": 0.6}),
    )
    assert stage_leaders([pretraining, cds, longer]) == {1}
    assert stage_leaders([pretraining, longer]) == {1}
    assert stage_leaders([cds]) == set()
    assert stage_leaders([pretraining, pretraining]) == set()
    other_seed = cds.model_copy(update={"seed": 1})
    assert stage_leaders([pretraining, other_seed]) == set()
