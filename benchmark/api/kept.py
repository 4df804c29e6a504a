"""What is computed once for all runs that may share it, and survives a kill before the next step.

Who finds it done is billed as if it had done it: FLOPs, seconds, examples and target passes are
kept with the result.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from benchmark.api.cost import CostMeter
from benchmark.models.checkpoint import load_checkpoint, save_checkpoint
from benchmark.models.parallel import is_first, sum_numbers

Result = TypeVar("Result", np.ndarray, dict[str, Tensor])


class Kept:
    """Results by what they depend on, in two folders.

    ``rows``: for what depends on the data alone; ``run``: for what depends on main model, budget
    and seed too. Whoever names the folders sees to it that only runs alike in that share one.
    """

    def __init__(self, rows: Path, run: Path) -> None:
        self._rows, self._run = rows, run

    def once(
        self,
        name: str,
        depends_on: Mapping[str, Any],
        compute: Callable[[], Result],
        *,
        rows_alone: bool,
        meter: CostMeter,
        device: torch.device,
    ) -> Result:
        """As of :meth:`benchmark.api.task.Task.once`."""
        digest = hashlib.sha256(json.dumps([name, depends_on], sort_keys=True).encode())
        folder = self._rows if rows_alone else self._run
        stem = re.sub(r"\W+", "_", name)
        file = folder / f"{stem}-{digest.hexdigest()[:16]}.safetensors"
        (done,) = sum_numbers(file.exists() if is_first() else 0)
        if done:
            state = load_checkpoint(file, device)
            meter.repeat(state["used"])
            found: Any = state["result"]
            return cast(Result, found.cpu().numpy() if isinstance(found, Tensor) else found)
        result, used = meter.note(compute)
        if is_first():
            kept = torch.from_numpy(result) if isinstance(result, np.ndarray) else result
            save_checkpoint(file, {"result": kept, "used": used})
        return result
