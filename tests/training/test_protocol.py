"""The optimiser of a study, from its file to what its models are trained with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmark.api.auxiliary import rate_at
from benchmark.study.study import RunSpec
from benchmark.training.loop import Trainer

MakeSpec = Callable[..., RunSpec]
MakeTrainer = Callable[..., Trainer]
OTHERS: list[dict[str, Any]] = [
    {"schedule": "constant"},
    {"schedule": "cosine", "final_share": 0.1},
    {"schedule": "wsd", "decay_share": 0.5},
    {"betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.1},
    {"clip_norm": 0.1},
]


@pytest.mark.parametrize("given", OTHERS, ids=lambda given: next(iter(given.values())))
def test_a_study_is_trained_as_it_says(
    given: dict[str, Any], spec: MakeSpec, trainer: MakeTrainer
) -> None:
    usual, other = spec("pretraining"), spec("pretraining", **given)
    assert usual.key != other.key
    assert usual.protocol != other.protocol
    losses = [trainer(run, name=run.key).run()[0].test_loss for run in (usual, other)]
    assert abs(losses[0] - losses[1]) > 1e-5


def test_defaults_written_out_change_no_key(spec: MakeSpec) -> None:
    said = {"schedule": "inverse_sqrt", "betas": [0.9, 0.98], "eps": 1e-9, "weight_decay": 0.0}
    assert spec("dds", **said, clip_norm=None).key == spec("dds").key


def test_auxiliary_models_and_fine_tuning_have_the_same_optimiser(
    spec: MakeSpec, trainer: MakeTrainer
) -> None:
    made = trainer(spec("soba", schedule="constant", betas=[0.5, 0.6], clip_norm=2.0))
    assert [rate_at(made.task, step, 30, 1.0) for step in (3, 29)] == [1.0, 1.0]
    for optimizer in (made.optimizer, made.task.optimizer(made.model.parameters())):
        assert optimizer.param_groups[0]["betas"] == (0.5, 0.6)
        assert optimizer.clip_norm == 2.0  # type: ignore[attr-defined]
    assert made.method.v_optimizer.param_groups[0]["betas"] == (0.5, 0.6)  # type: ignore[attr-defined]
    made.run()
    assert made.optimizer.param_groups[0]["betas"] == (0.5, 0.6)


def test_a_record_reads_its_own_optimiser_back(spec: MakeSpec) -> None:
    run = spec("pretraining", schedule="wsd", betas=[0.9, 0.95])
    again = RunSpec.model_validate_json(run.model_dump_json())
    assert again == run
    assert again.key == run.key
