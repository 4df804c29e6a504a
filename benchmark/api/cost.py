"""The bill of a run: FLOPs, seconds, examples and target passes, all charged to the method."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from benchmark.models.parallel import processes, sum_numbers
from benchmark.study.records import Cost

_aten = torch.ops.aten


def _cpu_attention(q: Any, k: Any, v: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(q, k, v))


def _cpu_attention_backward(grad: Any, q: Any, k: Any, v: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_backward_flop_count(grad, q, k, v))


def _summed_rows(weight: Any, indices: Any, *_: Any, **__: Any) -> int:
    return int(math.prod(indices)) * int(weight[1])


def _spread_rows(gradient: Any, indices: Any, *_: Any, **__: Any) -> int:
    return int(math.prod(indices)) * int(gradient[1])


def _added_rows(_self: Any, _dim: Any, _index: Any, source: Any, *_: Any, **__: Any) -> int:
    return int(math.prod(source))


# torch's counter knows the fused attention of GPUs only, and takes sums of table rows for free.
_UNKNOWN_TO_TORCH = {
    _aten._scaled_dot_product_flash_attention_for_cpu: _cpu_attention,
    _aten._scaled_dot_product_flash_attention_for_cpu_backward: _cpu_attention_backward,
    _aten._embedding_bag: _summed_rows,
    _aten._embedding_bag_forward_only: _summed_rows,
    _aten._embedding_bag_dense_backward: _spread_rows,
    _aten.index_add_: _added_rows,
}


Result = TypeVar("Result")


class _NoModules:
    """Stands for what tells torch's counter which modules are being run."""

    parents = frozenset({"Global"})

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class _TotalFlops(FlopCounterMode):
    """Counts the total alone.

    To count by module, torch keeps each call's tensors until the counting ends: of a whole
    preparation, gigabytes.
    """

    def __init__(self) -> None:
        super().__init__(display=False, custom_mapping=_UNKNOWN_TO_TORCH)
        self.mod_tracker: Any = _NoModules()


class CostMeter:
    """Adds up what a run uses.

    Counting FLOPs slows small models down, and steps of one kind cost the same, so they are
    counted on the first step of each kind and then charged again at each further one. Of a run on
    several processes, FLOPs are those of all together, what each of them repeats included; seconds
    are this process's.
    """

    def __init__(self) -> None:
        self.parts: defaultdict[str, float] = defaultdict(float)
        self.seconds = 0.0
        self.examples = 0
        self.target_passes = 0.0
        self._known: dict[str, float] = {}
        self._part = ""
        self._counter: FlopCounterMode | None = None
        self._unbilled = 0.0

    def knows(self, part: str, kind: str) -> bool:
        """Whether work of this kind has been counted, and is not counted again."""
        return f"{part}/{kind}" in self._known

    @contextmanager
    def charge(self, part: str, kind: str | None = None) -> Iterator[None]:
        """Charge the work inside to ``part``; work of the same ``kind`` is counted once.

        With ``kind`` None it is counted every time. Inside another charge it is part of that.
        """
        if self._part:
            yield
            return
        known = f"{part}/{kind}"
        start = time.perf_counter()
        self._part = part
        try:
            if kind is not None and known in self._known:
                yield
            else:
                self._unbilled = 0.0
                with _TotalFlops() as self._counter:
                    yield
                (self._known[known],) = sum_numbers(self._counted() - self._unbilled)
        finally:
            self._part, self._counter = "", None
        self.parts[part] += self._known[known]
        self.seconds += time.perf_counter() - start

    @contextmanager
    def free(self) -> Iterator[None]:
        """Charge nothing of the work inside, which is on the bill already."""
        parts, counted = dict(self.parts), self._counted()
        others = self.seconds, self.examples, self.target_passes
        try:
            yield
        finally:
            self.parts = defaultdict(float, parts)
            self.seconds, self.examples, self.target_passes = others
            self._unbilled += self._counted() - counted

    def note(self, compute: Callable[[], Result]) -> tuple[Result, dict[str, Any]]:
        """The result of ``compute``, and what it adds to the bill, for :meth:`repeat`."""
        start, before, passes = time.perf_counter(), dict(self.parts), self.target_passes
        examples, counted = self.examples, self._counted()
        if self._counter is None:
            with _TotalFlops() as counter:
                result = compute()
            flops = float(counter.get_total_flops())
        else:
            result = compute()
            flops = self._counted() - counted
        return result, {
            "counted": sum_numbers(flops)[0],
            "stated": {part: now - before.get(part, 0.0) for part, now in self.parts.items()},
            "seconds": time.perf_counter() - start,
            "examples": self.examples - examples,
            "target_passes": [passes, self.target_passes],
        }

    def repeat(self, used: Mapping[str, Any]) -> None:
        """Charge again what :meth:`note` found, to the part that is being charged."""
        self.parts[self._part or "preparation"] += used["counted"]
        for part, flops in used["stated"].items():
            self.parts[part] += flops
        self.seconds += used["seconds"]
        self.examples += used["examples"]
        # To the bit, where a run repeats its own work after a kill.
        before, after = used["target_passes"]
        passes = self.target_passes
        self.target_passes = after if passes == before else passes + (after - before)

    def _counted(self) -> float:
        return 0.0 if self._counter is None else float(self._counter.get_total_flops())

    def charge_flops(self, part: str, flops: float) -> None:
        """Charge work done outside torch by every process, by its known number of operations."""
        self.parts[part] += flops * processes()

    def count_examples(self, count: int) -> None:
        """Note that ``count`` rows were trained on."""
        self.examples += count

    def count_target(self, passes: float) -> None:
        """Note that a share ``passes`` of the target sample was drawn."""
        self.target_passes += passes

    def bill(self) -> Cost:
        """The bill so far."""
        return Cost(
            flops=sum(self.parts.values()),
            seconds=self.seconds,
            examples=self.examples,
            target_passes=self.target_passes,
            parts=dict(self.parts),
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on counting after a restart."""
        return {
            "parts": dict(self.parts),
            "seconds": self.seconds,
            "examples": self.examples,
            "target_passes": self.target_passes,
            "known": dict(self._known),
            "processes": processes(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self.parts = defaultdict(float, state["parts"])
        self.seconds = state["seconds"]
        self.examples = state["examples"]
        self.target_passes = state["target_passes"]
        # Other numbers of processes repeat other amounts of work.
        self._known = dict(state["known"]) if state["processes"] == processes() else {}
