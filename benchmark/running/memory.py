"""The memory that a run takes, and which keys of its study lower it."""

from __future__ import annotations

from pathlib import Path

from benchmark.study.study import RunSpec


def peak_memory() -> int:
    """Most bytes that this process has held.

    Not of getrusage, which counts what the process that started this one held.
    """
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def peak_device_memory(device: str) -> int | None:
    """Most bytes of tensors that this process has held on the device; None: that is the CPU."""
    if not device.startswith("cuda"):
        return None
    import torch

    return torch.cuda.max_memory_allocated()


def how_to_need_less(spec: RunSpec) -> str:
    """What to change in the study of a run that memory was too small for."""
    training = spec.training
    now = "whole batches" if training.micro_batch is None else str(training.micro_batch)
    advice = [f"lower training.micro_batch (now {now}, batch {training.batch})"]
    foreign = spec.model.huggingface or spec.model.huggingface_config
    if foreign and not training.activation_checkpointing:
        advice.append("set training.activation_checkpointing: true")
    if training.precision == "float32":
        advice.append("set training.precision: bf16")
    if "downsampling" in spec.method.hyperparameters:
        advice.append("lower training.big_batch or the method's downsampling")
    return ", ".join(advice[:-1]) + (" or " if advice[1:] else "") + advice[-1]
