"""The studies that `make gpu` times: every method, at sizes that are what they are called."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmark.methods.registry import methods, resolve
from benchmark.study.loading import embedded_studies, load_study
from benchmark.study.study import Study

SIZES = ("mini", "small", "paper", "gpt2")
MAKEFILE = Path(__file__).parents[2] / "Makefile"


def study(size: str) -> Study:
    return resolve(load_study(embedded_studies()[f"speed_{size}"]))


@pytest.mark.parametrize("size", SIZES)
def test_every_method_is_timed_by_plain_steps(size: str) -> None:
    labels = [entry.label for entry in study(size).methods]
    assert set(labels) == set(methods())
    assert labels[0] == "pretraining"


def test_the_target_times_them_all() -> None:
    assert f"for size in {' '.join(SIZES)}; do" in MAKEFILE.read_text(encoding="utf-8")


def test_gpt2_has_its_124_million_parameters() -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    options = study("gpt2").models["gpt2"].huggingface_config
    assert options is not None
    kind = options.pop("model_type")
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **options))
    assert sum(parameter.numel() for parameter in model.parameters()) == 124_439_808
