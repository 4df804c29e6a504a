"""How every run starts: what torch is told, and the main model with its initial weights."""

from __future__ import annotations

import torch
from torch import nn

from benchmark.data import PreparedData
from benchmark.models.build import build_model
from benchmark.study.contents import require_contents
from benchmark.study.study import RunSpec


def set_up_torch(device: str, threads: int) -> None:
    """Make results bit-identical for the same device and number of threads."""
    torch.set_num_threads(threads)
    if device != "cpu" or threads > 1:
        # A single CPU thread has one order of summation anyway, and this imports a compiler.
        torch.use_deterministic_algorithms(True, warn_only=True)


def initial_model(spec: RunSpec, data: PreparedData) -> nn.Module:
    """The main model as all runs of its model, data and seed start with it.

    Raises:
        UserError: a checkpoint that cannot be read, does not fit the rows, or has changed since
            the run was planned.
    """
    require_contents(spec, data.cache)
    return build_model(
        spec.model,
        vocabulary_size=data.vocabulary_size,
        length=data.width,
        tokenizer=spec.data.loaded_tokenizer,
        seed=spec.seed,
        probes=data.cache / "probes",
    )
