"""What the probe found of a model and its kind of rows, remembered over runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from pydantic import ValidationError

from benchmark.core.errors import UserError
from benchmark.core.files import write_atomically
from benchmark.core.frozen import Frozen
from benchmark.models.config import ModelConfig


class Findings(Frozen):
    """What `benchmark.models.probe` returns."""

    central_differences: tuple[str, ...]
    without_hessian: bool


def remembered(
    config: ModelConfig, rows: tuple[int, int, str], folder: Path, probe: Callable[[], Findings]
) -> Findings:
    """The findings on ``config`` in ``folder``, by ``probe`` if there are none yet.

    ``rows``: size of the vocabulary, width and tokenizer. What is refused is not remembered, and
    neither is a checkpoint that is known by its name only.
    """
    if config.huggingface is not None and not config.files:
        return probe()
    described = [config.model_dump(mode="json"), rows, version("torch"), version("transformers")]
    key = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:24]
    file = folder / f"{key}.json"
    with suppress(OSError, ValidationError):
        return Findings.model_validate_json(file.read_bytes())
    found = probe()
    with suppress(UserError):  # a folder that cannot be written costs time, and nothing else
        write_atomically(file, found.model_dump_json() + "\n")
    return found
