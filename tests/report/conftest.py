"""A builder of results folders with realistic records, for the tests of tables and figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmark.study.records import RunRecord, write_index, write_metrics, write_record
from benchmark.study.row_sample import sample_of
from benchmark.study.study import RunSpec, Study

SIX_METHODS = ("pretraining", "random", "mixing", "target_only", "classifier", "dds")
COST_OF_A_STEP = {"mixing": 2.0, "classifier": 1.6, "dds": 3.0}
FINAL_LOSS = {
    "pretraining": 2.30,
    "random": 2.31,
    "mixing": 2.02,
    "target_only": 4.90,
    "classifier": 2.21,
    "dds": 2.12,
}
STEP_FLOPS = 4.2e10
SIZES = {"mini": 1, "small": 3, "medium": 9, "large": 27}
"""Of models by name, over that of the first."""
DOMAIN_ROWS = {f"a_domain_{number}": 1000 * (12 - number) for number in range(12)}
PROXIES = ("doremi", "doge", "doremi_target")
FAILED_AT = 150
TRAINED_RULE = "last step"
TUNED_RULE = "best step on valid, step 0 included"


def make_study(
    methods: Sequence[str] = SIX_METHODS,
    seeds: Sequence[int] = (0,),
    targets: Sequence[str] = ("awsdocs", "gutenberg"),
    models: Sequence[str] = ("mini",),
    **changes: Any,
) -> Study:
    """A study of the embedded corpora; a method ``label=name`` gets a label of its own."""
    source = {"files": ["data.txt"]}
    entries = [
        {"label": method.split("=")[0], "method": method.split("=")[-1]} for method in methods
    ]
    content: dict[str, Any] = {
        "study": "mini",
        "description": "Six methods on two targets",
        "data": {"generic": source},
        "models": {model: {"preset": "mini"} for model in models},
        "targets": {target: {"source": source} for target in targets},
        "methods": entries,
        "seeds": list(seeds),
        "training": {"steps": 400, "evaluate_every": 50},
        "fine_tuning": {"steps": 100},
    }
    return Study.model_validate({**content, **changes})


def make_metrics(spec: RunSpec, position: int) -> list[dict[str, Any]]:
    """A plausible course of training and fine-tuning."""
    method = spec.method.label
    final = FINAL_LOSS.get(method, 2.1 + 0.03 * (position % 7)) + 0.02 * spec.seed
    final += 0.3 * list(spec.target_name).count("g")
    size = SIZES[spec.model_name]
    final += 0.6 * (size**-0.5 - 1)
    step_flops = size * STEP_FLOPS * COST_OF_A_STEP.get(method, 1.0 + 0.1 * (position % 5))
    lines = []
    for step in range(0, spec.training.steps + 1, spec.training.evaluate_every):
        progress = step / spec.training.steps
        loss = final + (5.55 - final) * math.exp(-6 * progress)
        if method == "target_only":
            loss = 2.45 + 3.1 * math.exp(-25 * progress) + 2.5 * progress**2
        line = _line("trained", step, loss, step * step_flops, step)
        lines.append(line | (_selected(spec, position, step) if step else {}))
    best = min(final, 2.4) - 0.25 + 0.02 * position
    for step in range(0, 101, 25):
        loss = best + (lines[8]["valid_loss"] - best) * math.exp(-step / 12)
        flops = spec.training.steps * step_flops + step * STEP_FLOPS
        lines.append(_line("fine_tuned", step, loss, flops, spec.training.steps + step))
    return lines


def _line(stage: str, step: int, loss: float, flops: float, steps: int) -> dict[str, Any]:
    return {
        "stage": stage,
        "step": step,
        "train_loss": loss,
        "valid_loss": loss,
        "generic_loss": loss + 0.4,
        "flops": flops,
        "seconds": flops / 1e12 + 0.01 * steps,
        "examples": 32 * steps,
    }


def _selected(spec: RunSpec, position: int, step: int) -> dict[str, Any]:
    """What a method trained on, which leans the more to later domains the later the method."""
    method, progress = spec.method.label, step / spec.training.steps
    if method == "target_only":
        return {}
    weights = [
        rows * (1 + position * progress) ** (i / 6) for i, rows in enumerate(DOMAIN_ROWS.values())
    ]
    shares = [weight / sum(weights) for weight in weights]
    figures: dict[str, Any] = {
        f"domain_share/{name}": share for name, share in zip(DOMAIN_ROWS, shares, strict=True)
    }
    figures |= {f"domain_seen/{name}": progress for name in DOMAIN_ROWS}
    first = 1000 * step + 40 * position
    figures["sampled_rows"] = sample_of(range(first, first + 400)).tolist()
    if method == "dds":
        figures["weights_entropy"] = 6.0 - 2 * progress
    if method in PROXIES:
        # Clusters of different seeds are different ones, and not as many.
        names = [f"cluster_{i}" for i in range(12 - spec.seed)] if method == "doge" else DOMAIN_ROWS
        figures |= {f"domain_weight/{name}": 1 / len(names) for name in names}
        figures |= {f"proxy_weight/{name}": 1 / len(names) for name in names}
    return figures


def make_record(
    spec: RunSpec, metrics: list[dict[str, Any]], failed_at_step: int | None = None
) -> RunRecord:
    """The record of a run with these measurements; a failed one has no result."""
    stages = []
    for stage, rule in (("trained", TRAINED_RULE), ("fine_tuned", TUNED_RULE)):
        last = [line for line in metrics if line["stage"] == stage][-1]
        stages.append(
            {
                "stage": stage,
                "step": last["step"],
                "rule": rule,
                "valid_loss": last["valid_loss"],
                "test_loss": last["valid_loss"] + 0.01,
                "generic_loss": last["generic_loss"],
                "cost": {
                    "flops": last["flops"],
                    "seconds": last["seconds"],
                    "examples": last["examples"],
                    "target_passes": last["examples"] / 2000,
                    "parts": {"main model": last["flops"]},
                },
            }
        )
    return RunRecord.model_validate(
        {
            "run_id": spec.run_id,
            "key": spec.key,
            "protocol": spec.protocol,
            "spec": spec,
            "status": "done" if failed_at_step is None else "failed",
            "reason": "" if failed_at_step is None else "the loss is not finite (nan) & 100% lost",
            "failed_at_step": failed_at_step,
            "data": {
                "fingerprint": "4f5e",
                "rows": {"generic": 123456, "target_train": 2000, "target_test": 1000},
                "documents": {"generic": 4567},
                "domain_rows": DOMAIN_ROWS,
            },
            "parameters": 118_016 * SIZES.get(spec.model_name, 1),
            "initial_weights": "9a8b",
            "stages": stages if failed_at_step is None else [],
            "environment": {
                "versions": {"torch": "2.13.0"},
                "commit": "0123456789abcdef0123456789abcdef01234567",
                "dirty": False,
                "host": "node1",
                "processor": "Example CPU @ 2.50GHz",
                "device": "cpu",
                "threads": 2,
            },
            "started": "2026-01-01T00:00:00+00:00",
            "finished": "2026-01-01T00:05:00+00:00",
        }
    )


def with_test_losses(record: RunRecord, losses: tuple[float, ...]) -> RunRecord:
    """The same record with these test losses, one a stage."""
    stages = tuple(
        stage.model_copy(update={"test_loss": loss})
        for stage, loss in zip(record.stages, losses, strict=True)
    )
    return record.model_copy(update={"stages": stages})


Run = tuple[str, str, int]


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Path]:
    """Write the results of a study made with the given settings and give their folder.

    Runs are named (target, method, seed): ``failed`` and ``pending`` ones, and those with given
    ``test_losses``, one a stage.
    """

    def build_results(
        failed: Sequence[Run] = (),
        pending: Sequence[Run] = (),
        test_losses: Mapping[Run, tuple[float, ...]] | None = None,
        **settings: Any,
    ) -> Path:
        study = make_study(**settings)
        results = tmp_path / "results"
        write_index(results, study)
        methods = [entry.label for entry in study.methods]
        for spec in study.runs():
            run = (spec.target_name, spec.method.label, spec.seed)
            if run in pending:
                continue
            metrics = make_metrics(spec, methods.index(spec.method.label))
            record = make_record(spec, metrics, FAILED_AT if run in failed else None)
            if test_losses and run in test_losses:
                record = with_test_losses(record, test_losses[run])
            write_metrics(results, record.run_id, metrics)
            write_record(results, record)
        return results

    return build_results
