"""One run on several processes: what they share out, add up and agree on.

Every process makes every decision, from the same counter-based randomness, and keeps a whole copy
of model, optimiser and method; only the rows of the expensive passes are shared out. All
functions here are collective: every process calls them, in the same order. With one process each
returns what it is given.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, distributed
from torch.distributed.rendezvous import rendezvous

from benchmark.core.randomness import derived_key

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

TIMEOUT = timedelta(minutes=10)
"""How long a process waits for the others before it gives them up."""

LEAVE_TAKING = timedelta(seconds=5)
"""How long the others wait for the first process to leave."""

_OVER = "over"


class LostProcessError(Exception):
    """Another process of the run has ended, or has been silent for too long."""


class ProcessesDifferError(Exception):
    """Processes that should all do the same have not."""


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Work together with the other processes that the environment speaks of, if any.

    RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT are those of ``torchrun``. On
    ``cuda`` the process gets a GPU of its own and tensors there travel by NCCL, all others by gloo.

    Raises:
        LostProcessError: not all processes have come.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    backend = "gloo"
    if device.startswith("cuda"):
        local = int(os.environ.get("LOCAL_RANK", "0"))
        # Where each process is shown its own GPU only, that is number 0.
        torch.cuda.set_device(local % max(1, torch.cuda.device_count()))
        backend = "cpu:gloo,cuda:nccl"
    with _losses_noticed():
        store, rank, size = next(rendezvous("env://", timeout=TIMEOUT))
        distributed.init_process_group(
            backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT
        )
    try:
        yield
    finally:
        # What is left of a broken group cannot be taken down in good order.
        if not isinstance(sys.exception(), LostProcessError):
            _take_leave(store)
            distributed.destroy_process_group()


def processes() -> int:
    """How many processes make this run."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_first() -> bool:
    """Whether this is the process that writes files and reports."""
    return _rank() == 0


def share(count: int) -> slice:
    """This process's part of ``count`` rows: contiguous, even to one row, perhaps empty."""
    rank, size = _rank(), processes()
    return slice(count * rank // size, count * (rank + 1) // size)


def own_rows(rows: Tensor) -> Tensor:
    """This process's part of ``rows`` ``[n, ...]``.

    A process that is left without rows gets the first one (weighing nothing, see
    :func:`own_weights`), so that it makes the same passes as all others.
    """
    own = share(len(rows))
    return rows[:1] if own.start == own.stop else rows[own]


def own_weights(weights: Tensor) -> Tensor:
    """The weights of :func:`own_rows`, from those of all rows ``[n]``."""
    own = share(len(weights))
    return torch.zeros_like(weights[:1]) if own.start == own.stop else weights[own]


def gather_rows(own: Tensor, count: int) -> Tensor:
    """Results ``[count, ...]`` for all rows, in order, from each process's for :func:`own_rows`."""
    if processes() == 1:
        return own
    part = share(count)
    whole = own.new_zeros(count, *own.shape[1:])
    whole[part] = own[: part.stop - part.start]
    return sum_over_processes([whole])[0]


def sum_over_processes(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Each tensor's sum over processes, the same bits on all; one message for each dtype."""
    if processes() == 1:
        return list(tensors)
    sums: dict[int, Tensor] = {}
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        alike = {i: tensor for i, tensor in enumerate(tensors) if tensor.dtype == dtype}
        flat = _all_reduce(torch.cat([tensor.flatten() for tensor in alike.values()]))
        parts = flat.split([tensor.numel() for tensor in alike.values()])
        sums |= {i: part.view_as(alike[i]) for i, part in zip(alike, parts, strict=True)}
    return [sums[i] for i in range(len(tensors))]


def sum_numbers(*numbers: float) -> tuple[float, ...]:
    """Each number's sum over processes."""
    if processes() == 1:
        return numbers
    return tuple(_all_reduce(torch.tensor(numbers, dtype=torch.float64)).tolist())


def any_process(flag: bool) -> bool:
    """Whether ``flag`` is true on any process."""
    return sum_numbers(flag)[0] > 0


def wait_for_all() -> None:
    """Go on when every process has come here."""
    sum_numbers(0)


@contextmanager
def own_randomness() -> Iterator[None]:
    """Inside, torch's generators are this process's own; outside, all processes' stay alike."""
    if processes() == 1:
        yield
        return
    seed = derived_key(int(torch.randint(2**62, ())), _rank())
    with torch.random.fork_rng([torch.cuda.current_device()] if _on_cuda() else []):
        torch.manual_seed(seed)
        yield


class DriftGuard:
    """Notices when processes no longer do the same, which would not show in their losses."""

    def __init__(self) -> None:
        self._batches = hashlib.sha256()

    def add(self, positions: np.ndarray, weights: Tensor | None) -> None:
        """Note the batch trained on: positions ``[n]`` and weights ``[n]``."""
        if processes() > 1:
            self._batches.update(positions.tobytes())
            _add_bits(self._batches, [] if weights is None else [weights])

    def check(self, parameters: Iterable[Tensor]) -> None:
        """Compare parameters, and the batches since the last check, between processes.

        Raises:
            ProcessesDifferError: they are not the same to the bit.
        """
        if processes() == 1:
            return
        weights = hashlib.sha256()
        _add_bits(weights, parameters)
        found = {"batches": self._batches, "weights": weights}
        self._batches = hashlib.sha256()
        own = torch.tensor([[_number(digest.digest()) for digest in found.values()]])
        all_ = gather_rows(own, processes()).T.tolist()
        for name, values in zip(found, all_, strict=True):
            others = [rank for rank, value in enumerate(values) if value != values[0]]
            if others:
                raise ProcessesDifferError(
                    f"the {name} of processes {others} (of {processes()}) are not those of "
                    "process 0: a method must draw from task.rng alone, and all processes must "
                    "run on the same kind of machine"
                )


def _rank() -> int:
    return distributed.get_rank() if distributed.is_initialized() else 0


def _on_cuda() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_initialized()


def _all_reduce(tensor: Tensor) -> Tensor:
    with _losses_noticed():
        distributed.all_reduce(tensor)
    return tensor


@contextmanager
def _losses_noticed() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise LostProcessError(
            f"another process of the run has ended or gone silent, its output says why ({error})"
        ) from error


def _take_leave(store: Store) -> None:
    """The first process leaves first: what all have noticed alike it must be able to write down."""
    with suppress(RuntimeError):
        if is_first():
            store.set(_OVER, "")
        else:
            store.wait([_OVER], LEAVE_TAKING)


def _add_bits(digest: hashlib._Hash, tensors: Iterable[Tensor]) -> None:
    for tensor in tensors:
        digest.update(tensor.detach().flatten().view(torch.uint8).cpu().numpy().data)


def _number(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "little") >> 1
