"""What is computed once: found again after a kill and by other runs, to the same bits and bill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.api.cost import CostMeter
from benchmark.api.kept import Kept
from benchmark.data import PreparedData
from benchmark.methods.registry import find_method
from benchmark.models.checkpoint import weights_hash
from benchmark.study.environment import describe
from benchmark.study.study import RunSpec
from benchmark.training.beginnings import kept_results
from benchmark.training.hooks import Hooks, InterruptedRunError
from benchmark.training.loop import Trainer
from benchmark.training.start import initial_model

MakeSpec = Callable[..., RunSpec]
CLUSTERS = {"count": 4, "components": 4, "ngrams": {"buckets": 4096}}
SETTINGS: dict[str, dict[str, Any]] = {
    "dsir": {},
    "classifier_filter": {},
    "crisp": CLUSTERS,
    "doremi": {},
    "doremi_target": {"domains": "clusters", "clusters": CLUSTERS},
    "doge": {"domains": "clusters", "clusters": CLUSTERS},
    "less": {"keep": 0.1, "candidates": 300, "checkpoints": 2},
    "cds": {},
    "color_filter": {},
    "rho_loss": {},
    "regmix": {"proxies": 8},
}
STEPS = {"cds": 36, "rho_loss": 36}
"""So that they are offered more rows than the corpus has, and score that once."""


class StoppedError(Exception):
    """Stands for a kill."""


class Runs:
    """Makes runs that share the cache ``folder``; counts what they compute and do not find."""

    def __init__(self, data: PreparedData, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data, self.folder = data, folder
        self.computed = 0
        self.most = 10**6
        self.should_stop: Callable[[], bool] = lambda: False
        note = CostMeter.note

        def counted(meter: CostMeter, compute: Callable[[], Any]) -> Any:
            if self.computed == self.most:
                raise StoppedError
            self.computed += 1
            return note(meter, compute)

        monkeypatch.setattr(CostMeter, "note", counted)

    def __call__(self, spec: RunSpec, shared: bool = True, name: str = "run") -> Any:
        """The run's weights, figures and bills, all but seconds; and how much it computed."""
        environment = describe("cpu", 1)
        kept = kept_results(spec, self.data.fingerprint, environment, self.folder)
        trainer = Trainer(
            spec,
            self.data,
            initial_model(spec, self.data),
            find_method(spec.method.method),
            self.folder / f"{name}.safetensors",
            Hooks(should_stop=self.should_stop),
            kept=kept if shared else None,
        )
        self.computed = 0
        results = [result.model_dump() for result in trainer.run()]
        trainer.checkpoint.unlink()
        for each in (*results, *(result["cost"] for result in results), *trainer.progress.metrics):
            each.pop("seconds", None)
        return weights_hash(trainer.model), results, trainer.progress.metrics


@pytest.fixture
def run(data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(data, tmp_path, monkeypatch)


@pytest.mark.parametrize("method", SETTINGS)
def test_what_is_found_done_changes_no_bit_and_is_billed(
    run: Runs, spec: MakeSpec, method: str
) -> None:
    asked = spec(method, SETTINGS[method], steps=STEPS.get(method, 12))
    alone = run(asked, shared=False)
    assert run.computed == 0
    first = run(asked)
    assert run.computed > 0
    second = run(asked)
    assert run.computed == 0, "all of it is found"
    assert first == alone == second


def test_a_stop_is_heard_between_parts(
    run: Runs, spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the preparation is; nothing that was done is done again."""
    monkeypatch.setattr("benchmark.api.auxiliary.SCAN_ROWS", 500)
    asked = spec("dsir", {})
    alone = run(asked, shared=False)
    parts = 0
    while not (run.folder / "run.safetensors").exists():
        left = iter(range(parts))
        run.should_stop = lambda left=left: next(left, None) is None  # type: ignore[misc]
        with pytest.raises(InterruptedRunError):
            run(asked)
        parts += 1
        assert run.computed <= 2, "a part, and what it is part of"
    assert parts > 2
    run.should_stop = lambda: False
    assert run(asked) == alone


@pytest.mark.long
@pytest.mark.parametrize("method", SETTINGS)
@pytest.mark.parametrize("most", [1, 2])
def test_preparation_goes_on_after_a_kill(
    run: Runs, spec: MakeSpec, method: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when the first, or the second, of its parts has begun or is done."""
    monkeypatch.setattr("benchmark.api.auxiliary.SCAN_ROWS", 500)
    asked = spec(method, SETTINGS[method], steps=STEPS.get(method, 12))
    alone = run(asked, shared=False)
    run(asked, name="other")
    whole = run.computed
    for file in run.folder.glob("kept/*/*"):
        file.unlink()
    if most >= whole:
        return
    run.most = most
    with pytest.raises(StoppedError):
        run(asked)
    run.most = 10**6
    kept = len(list(run.folder.glob("kept/*/*")))
    assert run(asked) == alone
    assert run.computed == whole - kept


def test_a_scan_goes_on_where_it_was(
    run: Runs, spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three parts of 500 rows to count and three to weigh: killed in the fifth."""
    monkeypatch.setattr("benchmark.api.auxiliary.SCAN_ROWS", 500)
    run.most = 4
    with pytest.raises(StoppedError):
        run(spec("dsir"))
    run.most = 10**6
    run(spec("dsir"))
    assert run.computed == 2


def test_who_may_share_what(run: Runs, spec: MakeSpec) -> None:
    run(spec("dsir"))
    weights = run.computed
    other_seed = spec("dsir").model_copy(update={"seed": 1})
    for alike in (spec("dsir", {"keep": 0.3}), other_seed, spec("dsir", steps=16)):
        run(alike)
        assert run.computed == 0
    run(spec("dsir", {"floor": 1e-4}))
    assert run.computed == weights / 2, "n-grams are counted alike"
    run(spec("crisp", CLUSTERS))
    clusters = run.computed
    run(spec("crisp", CLUSTERS | {"smoothing": 0.1}))
    assert run.computed == 0
    # The same clusters, and what the proxy makes of them.
    run(spec("doge", SETTINGS["doge"]))
    assert run.computed == 1
    run(spec("crisp", CLUSTERS).model_copy(update={"seed": 1}))
    assert run.computed == clusters
    run(spec("less", SETTINGS["less"]))
    for other in (spec("less", SETTINGS["less"], rate=0.002), spec("less", {"keep": 0.1})):
        run(other)
        assert run.computed > 0, "with another model to score by, or other candidates"


def test_nothing_is_shared_between_codes_rows_and_machines(
    spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, here = spec("dsir"), describe("cpu", 1)

    def folders(rows: str = "rows", environment: Any = here) -> tuple[Path, Path]:
        kept: Kept = kept_results(asked, rows, environment, tmp_path)
        return kept._rows, kept._run

    first = folders()
    assert folders() == first
    others = [folders(rows="others"), folders(environment=describe("cpu", 2))]
    monkeypatch.setattr("benchmark.training.beginnings.code_digest", lambda: "other code")
    others.append(folders())
    assert all(set(other).isdisjoint(first) for other in others)


def test_methods_from_elsewhere_share_nothing(
    spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their code is not in the digest of ours."""
    monkeypatch.setattr(find_method("dsir"), "__module__", "some.package")
    here = describe("cpu", 1)
    first, other = (
        kept_results(asked, "rows", here, tmp_path)._rows
        for asked in (spec("dsir"), spec("dsir", {"keep": 0.3}))
    )
    assert first != other


def test_what_is_free_is_not_on_the_bill() -> None:
    meter, a = CostMeter(), torch.ones(8, 8)
    with meter.charge("selection", "first"):
        a @ a
        with meter.free():
            a @ a
            meter.charge_flops("preparation", 5.0)
            meter.count_target(1.0)
        a @ a
    bill = meter.bill()
    assert (bill.flops, bill.target_passes) == (2 * 2 * 8**3, 0)
    with meter.free():
        meter.repeat(
            {"counted": 7.0, "stated": {}, "seconds": 9.0, "examples": 3, "target_passes": [0, 1]}
        )
    assert meter.bill() == bill
