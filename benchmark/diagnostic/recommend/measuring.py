"""The measures of one (model, target), computed once and kept by what they are computed from."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.api.cost import CostMeter
from benchmark.core.errors import UserError
from benchmark.core.files import write_atomically
from benchmark.diagnostic.diagnose import run_flops
from benchmark.diagnostic.pretrained import Pretraining
from benchmark.diagnostic.recommend.features import VERSION, Measured, Tier, setting_of
from benchmark.diagnostic.recommend.gradients import checkpoint_shares, draw, gradient_measures
from benchmark.diagnostic.recommend.text import require_documents, text_measures
from benchmark.study.environment import code_digest
from benchmark.study.records import Cost, Environment
from benchmark.training.start import initial_model

if TYPE_CHECKING:
    from benchmark.data import PreparedData
    from benchmark.study.study import RunSpec

TEXT_SEED = 0
"""Tier 0 is about data alone: all seeds of a study have the same."""


@dataclass(frozen=True)
class Measuring:
    """Where measures are kept (``cache``), and with what they are made."""

    cache: Path
    environment: Environment
    hear: Callable[[str], None]

    def measure(
        self, spec: RunSpec, data: PreparedData, tier: Tier, parameters: int | None = None
    ) -> Measured:
        """The measures of a plain pretraining's model and target; of tier 1 with those of tier 0.

        ``parameters`` of the model where they are known; else it is built to count them.

        Raises:
            UserError: a sample of one document, a corpus smaller than twice the sample, gradients
                that are not finite, or a pretraining that diverges.
        """
        require_documents(spec.target_name, data.report.rows, data.report.documents)
        count = _parameters(spec, data) if parameters is None else parameters
        setting = setting_of(spec, count, data.report.rows, data.report.documents)
        text = self._kept(("text", data.fingerprint), lambda: self._text(spec, data))
        if tier == 1:
            alike = self.environment.model_dump(exclude={"commit", "dirty", "host"})
            made = (spec.protocol, spec.seed, data.fingerprint, code_digest(), repr(alike))
            more = self._kept(("gradients", *made), lambda: self._gradients(spec, data))
        else:
            more = {"values": {}, "cost": Cost(seconds=text["seconds"])}
        values = {**text["values"], **more.pop("values")}
        return Measured(tier=tier, task=spec.data.task, setting=setting, values=values, **more)

    def _text(self, spec: RunSpec, data: PreparedData) -> dict[str, Any]:
        self.hear("text")
        start = time.perf_counter()
        values = text_measures(spec.target_name, data, TEXT_SEED)
        return {"values": values, "seconds": time.perf_counter() - start}

    def _gradients(self, spec: RunSpec, data: PreparedData) -> dict[str, Any]:
        device, start = self.environment.device, time.perf_counter()

        def listen(step: int, of: int, loss: float) -> None:
            self.hear(f"pretraining step {step} of {of}, loss {loss:.3f}")

        pretraining = Pretraining(spec, data, self.cache, self.environment, listen)
        checkpoints = pretraining.checkpoints(checkpoint_shares(spec.training.steps))
        self.hear("gradients")
        model = initial_model(spec, data).to(device)
        probed, meter = draw(spec.target_name, data, spec.seed, device), CostMeter()
        found, how = gradient_measures(
            model, probed, checkpoints, spec.training.batch, spec.seed, meter
        )
        whole = run_flops(model, spec, probed.target[: spec.training.batch])
        last = max(checkpoint.step or 0 for checkpoint in checkpoints)
        # As-trained methods start anew: nothing of this pretraining is of use to them.
        meter.charge_flops("pretraining", whole * last / spec.training.steps)
        return {
            "values": found,
            "checkpoints": [checkpoint.step for checkpoint in checkpoints],
            "gradients": how,
            "cost": meter.bill().model_dump() | {"seconds": time.perf_counter() - start},
            "run_flops": whole,
        }

    def _kept(
        self, made_from: tuple[object, ...], compute: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """The content of a file whose name says what it is made from, made now if it is not."""
        name = hashlib.sha256(repr((VERSION, *made_from)).encode()).hexdigest()[:24]
        file = self.cache / "measures" / f"{name}.json"
        if file.exists():
            try:
                kept: dict[str, Any] = json.loads(file.read_bytes())
            except ValueError as error:
                raise UserError(f"{file}: damaged ({error}); remove it to redo") from error
            return kept
        found = compute()
        write_atomically(file, json.dumps(found, indent=1) + "\n")
        return found


def _parameters(spec: RunSpec, data: PreparedData) -> int:
    return sum(value.numel() for value in initial_model(spec, data).parameters())
