"""Bills hold for other hyper-parameters than those that methods are checked with."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark.contract import CHECKS, Problem, Trial
from benchmark.methods.registry import find_method

SMALL: dict[str, Any] = {"embedding": 8, "hidden": 8}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("dds", {"network": SMALL, "look_ahead": 0.0, "update_every": 3}),
    ("dds", {"network": SMALL | {"kind": "bag_of_ngrams", "hidden": 64}, "downsampling": 4}),
    ("soba", {"network": SMALL, "hessian": False}),
    ("anograd", {"network": SMALL, "hessian": True}),
    ("classifier", {"network": SMALL | {"span": 3}, "downsampling": 4}),
    ("mixing", {"form": "data"}),
    ("less", {"form": "one_pass", "keep": 0.1, "candidates": 200, "warmup_steps": 3}),
    ("cds", {"pretrain_share": 0.6, "adaptation_share": 0.5, "downsampling": 4}),
    ("doremi", {"reference_share": 0.5, "proxy_share": 0.3}),
]


@pytest.mark.parametrize(("method", "settings"), VARIANTS)
def test_the_bill_follows_the_settings(
    problem: Problem, method: str, settings: dict[str, Any]
) -> None:
    base = find_method(method)
    changed = type("Changed", (base.Hyperparameters,), {"for_checks": settings})
    variant = type(base.__name__, (base,), {"Hyperparameters": changed})
    CHECKS["cost"](Trial(variant, problem))
