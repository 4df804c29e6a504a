"""A run on two real processes (gloo) gives what one process gives."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import multiprocessing

from benchmark.data import PreparedData, open_prepared
from benchmark.methods.registry import find_method, resolve
from benchmark.models.build import build_model
from benchmark.models.checkpoint import weights_hash
from benchmark.models.config import ModelConfig
from benchmark.models.influence import gradient, hessian_product, influence, parameters_of
from benchmark.models.losses import token_share
from benchmark.models.parallel import ProcessesDifferError, joined, own_randomness, processes
from benchmark.models.passes import set_passes
from benchmark.study.study import RunSpec, Study
from benchmark.training.hooks import Hooks, InterruptedRunError
from benchmark.training.loop import Trainer

TOLERANCE = 1e-10
METHODS: dict[str, dict[str, Any]] = {
    "pretraining": {},
    "classifier": {"network_rate": 0.05},
    "dds": {"network_rate": 0.05},
    "soba": {"network_rate": 0.05},
    "anograd": {"network_rate": 0.05, "hessian": True},
    "doge": {},
    "dga": {"update_every": 3},
}
STOPPED_AT = 7

Figures = dict[str, Any]


class Run:
    """One run of a spec, and all that came of it."""

    def __init__(self, spec: RunSpec, data: PreparedData, checkpoint: Path) -> None:
        self.spec, self.data, self.checkpoint = spec, data, checkpoint
        self.losses: list[float] = []

    def trainer(self, should_stop: Callable[[], bool] = lambda: False) -> Trainer:
        model = build_model(
            self.spec.model,
            vocabulary_size=self.data.vocabulary_size,
            length=self.data.width,
            tokenizer=self.data.tokenizer,
            seed=self.spec.seed,
        )
        set_passes(model, self.spec.training)
        hooks = Hooks(lambda *step: self.losses.append(step[-1]), should_stop=should_stop)
        method = find_method(self.spec.method.method)
        return Trainer(self.spec, self.data, model, method, self.checkpoint, hooks)

    def stop_midway(self, asked: bool = True) -> None:
        """Run until somebody has asked to stop, which this process does if ``asked``."""
        steps = iter(range(STOPPED_AT + 1))
        with pytest.raises(InterruptedRunError):
            self.trainer(lambda: next(steps) == STOPPED_AT and asked).run()

    def finish(self) -> Figures:
        """Run to the end: every loss, every figure but the seconds, and the final weights."""
        trainer = self.trainer()
        results = [result.model_dump() for result in trainer.run()]
        for line in [*trainer.progress.metrics, *(result["cost"] for result in results)]:
            line.pop("seconds")
        return {
            "losses": self.losses,
            "metrics": trainer.progress.metrics,
            "results": results,
            "weights": weights_hash(trainer.model),
        }


@dataclasses.dataclass(frozen=True)
class Plan:
    """What every process is given."""

    prepared: Path
    folder: Path
    specs: dict[str, str]
    port: int

    def run(self, name: str, file: str) -> Run:
        spec = RunSpec.model_validate_json(self.specs[name])
        return Run(spec, open_prepared(self.prepared), self.folder / f"{file}.safetensors")


def work(rank: int, plan: Plan) -> None:
    """All that two processes do in these tests; each writes what it has found to a file."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(plan.port)}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"} | place
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    with joined("cpu"):
        found = {name: plan.run(name, name).finish() for name in METHODS}
        found["micro-batches"] = plan.run("micro-batches", "micro-batches").finish()
        found["dropout"] = plan.run("dropout", "dropout").finish()
        pieces = plan.run("dropout", "pieces")
        pieces.stop_midway(asked=rank == 1)
        found["pieces"] = pieces.finish()
        plan.run("dds", "left").stop_midway(asked=rank == 0)
        found["primitives"] = [primitives(plan, count) for count in (1, 5)]
        found["noise"] = noise()
        found["drifted"] = {what: drift(plan, rank, what) for what in ("weights", "batches")}
        found["processes"] = processes()
    (plan.folder / f"{rank}.json").write_text(json.dumps(found))


def primitives(plan: Plan, count: int) -> Figures:
    """Each primitive on a few rows, along a gradient."""
    run = plan.run("dropout", "unused")
    task = run.trainer().task
    rows, direction = task.generic_batch(0, count).rows, parameters_of(task.model)
    loss, g = gradient(task.model, rows, token_share(rows))
    product = hessian_product(task.model, rows, token_share(rows), direction)
    return {
        "loss": float(loss),
        "gradient": {name: value.tolist() for name, value in g.items()},
        "influence": influence(task.model, rows, direction).tolist(),
        "hessian": {name: value.tolist() for name, value in product.items()},
    }


def noise() -> list[float]:
    """A number drawn as dropout is, and one drawn afterwards."""
    torch.manual_seed(0)
    with own_randomness():
        own = torch.rand(())
    return [float(own), float(torch.rand(()))]


def drift(plan: Plan, rank: int, what: str) -> str:
    """What is said when the second process changes its own weights, or its own batch."""
    trainer = plan.run("pretraining", what).trainer()
    draw = trainer.method.batch

    def draw_otherwise(step: int) -> Any:
        if rank == 0 or step != 2:
            return draw(step)
        if what == "batches":
            return draw(step + 1)
        with torch.no_grad():
            next(trainer.model.parameters()).view(-1)[0] += 1e-12
        return draw(step)

    trainer.method.batch = draw_otherwise  # type: ignore[method-assign]
    with pytest.raises(ProcessesDifferError) as raised:
        trainer.run()
    assert trainer.progress.step == 5, "noticed at the first evaluation"
    return str(raised.value)


@pytest.fixture(autouse=True, scope="module")
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def plan(
    base_content: Figures, data: PreparedData, tmp_path_factory: pytest.TempPathFactory
) -> Plan:
    # An odd batch, so that the two shares differ.
    training = base_content["training"] | {"steps": 15, "batch": 7, "evaluate_every": 5}
    methods = [
        {
            "method": name,
            "hyperparameters": {**find_method(name).Hyperparameters.for_checks, **given},
        }
        for name, given in METHODS.items()
    ]
    content = base_content | {"methods": methods, "training": training}
    specs = {run.method.method: run for run in resolve(Study.model_validate(content)).runs()}
    nano = content["models"]["nano"]["transformer"]
    noisy = ModelConfig.model_validate({"transformer": nano | {"dropout": 0.1}})
    pieces = specs["soba"].training.model_copy(update={"micro_batch": 1})
    specs["micro-batches"] = specs["soba"].model_copy(update={"training": pieces})
    specs["dropout"] = specs["soba"].model_copy(update={"model": noisy})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    texts = {name: spec.model_dump_json() for name, spec in specs.items()}
    return Plan(data.folder, tmp_path_factory.mktemp("parallel"), texts, port)


@pytest.fixture(scope="module")
def both(plan: Plan) -> list[Figures]:
    """What each of two processes has found."""
    multiprocessing.spawn(work, (plan,), nprocs=2)
    return [json.loads((plan.folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.long
@pytest.mark.parametrize("method", METHODS)
def test_two_processes_lose_what_one_loses(
    method: str, both: list[Figures], plan: Plan, tmp_path: Path
) -> None:
    alone = dataclasses.replace(plan, folder=tmp_path).run(method, method).finish()
    first, second = both[0][method], both[1][method]
    assert len(first["losses"]) >= 15 + 4
    assert first["losses"] == pytest.approx(alone["losses"], rel=TOLERANCE)
    assert numbers(first) == pytest.approx(numbers(alone), rel=TOLERANCE)
    assert second["losses"] == [], "the first process alone reports"
    assert numbers(first) == numbers(second)
    assert first["weights"] == second["weights"]


@pytest.mark.long
def test_two_processes_with_micro_batches_lose_what_one_loses_without(
    both: list[Figures], plan: Plan, tmp_path: Path
) -> None:
    alone = dataclasses.replace(plan, folder=tmp_path).run("soba", "soba").finish()
    first, second = (found["micro-batches"] for found in both)
    assert first["losses"] == pytest.approx(alone["losses"], rel=TOLERANCE)
    assert first["weights"] == second["weights"]
    for one, other in zip(first["results"], alone["results"], strict=True):
        for name in ("valid_loss", "test_loss", "generic_loss"):
            assert one[name] == pytest.approx(other[name], rel=TOLERANCE)


def numbers(found: Figures) -> dict[str, float]:
    """Every figure of the evaluations and results, but for the FLOPs."""
    lines = [*found["metrics"], *found["results"], *(r["cost"] for r in found["results"])]
    return {
        f"{number} {name} {place}": each
        for number, line in enumerate(lines)
        for name, value in line.items()
        if name not in {"flops", "stage", "rule", "cost", "parts"}
        for place, each in enumerate(value if isinstance(value, list) else [value])
    }


@pytest.mark.long
def test_the_bill_is_that_of_all_processes(both: list[Figures], plan: Plan, tmp_path: Path) -> None:
    for name, repeated in (("pretraining", 0.0), ("classifier", 1.0)):
        alone = dataclasses.replace(plan, folder=tmp_path).run(name, name).finish()
        for ours, theirs in zip(both[0][name]["results"], alone["results"], strict=True):
            ours, theirs = ours["cost"]["parts"], theirs["cost"]["parts"]
            assert ours["training"] == pytest.approx(theirs["training"], rel=1e-12)
            assert ours["selection"] == (1 + repeated) * theirs["selection"]


@pytest.mark.long
def test_stopped_by_either_process_goes_on_to_the_same_bits(both: list[Figures]) -> None:
    for found in both:
        assert found["pieces"] == found["dropout"]


@pytest.mark.long
def test_one_process_goes_on_where_two_stopped(
    both: list[Figures], plan: Plan, tmp_path: Path
) -> None:
    shutil.copy(plan.folder / "left.safetensors", tmp_path)
    alone = dataclasses.replace(plan, folder=tmp_path).run("dds", "left").finish()
    assert alone["losses"] == pytest.approx(both[0]["dds"]["losses"][STOPPED_AT:], rel=TOLERANCE)
    assert numbers(alone) == pytest.approx(numbers(both[0]["dds"]), rel=TOLERANCE)
    # From there on nothing is done twice.
    ours, theirs = (found["results"][-1]["cost"]["parts"] for found in (alone, both[0]["dds"]))
    assert ours["selection"] < theirs["selection"]


@pytest.mark.long
def test_primitives_on_uneven_shares_and_on_fewer_rows_than_processes(
    both: list[Figures], plan: Plan
) -> None:
    for number, count in enumerate((1, 5)):
        expected = primitives(plan, count)
        for found in both:
            ours = found["primitives"][number]
            assert ours["loss"] == pytest.approx(expected["loss"], rel=1e-13)
            assert ours["influence"] == pytest.approx(expected["influence"], rel=1e-10, abs=1e-13)
            for what in ("gradient", "hessian"):
                for name, value in expected[what].items():
                    torch.testing.assert_close(
                        torch.tensor(ours[what][name]), torch.tensor(value), rtol=1e-10, atol=1e-13
                    )


@pytest.mark.long
def test_dropout_differs_between_processes_and_leaves_no_trace(both: list[Figures]) -> None:
    (own, after), (others_own, others_after) = (found["noise"] for found in both)
    assert own != others_own
    assert after == others_after


@pytest.mark.long
def test_drift_is_an_error_on_every_process(both: list[Figures]) -> None:
    for found in both:
        assert found["processes"] == 2
        for what, said in found["drifted"].items():
            assert f"the {what} of processes [1] (of 2) are not those of process 0" in said
