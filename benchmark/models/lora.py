"""Low-rank adapters of Hugging Face models, through `peft`.

What is not trained becomes a buffer: the adapters are all the parameters that the model has, and
so all that is trained, checkpointed and differentiated by.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmark.core.errors import UserError, unknown
from benchmark.models.config import LoraConfig


def add_adapters(model: Any, config: LoraConfig, name: str, seed: int) -> None:
    """Give the matrices that ``config`` names adapters, drawn by ``seed``, and fix all weights.

    Raises:
        UserError: `peft` is not installed, or a target is no name of a matrix.
    """
    try:
        from peft import LoraConfig as PeftConfig
        from peft import inject_adapter_in_model
        from transformers.pytorch_utils import Conv1D
    except ImportError:
        raise UserError(
            f"{name}: lora needs peft, which is not installed: pip install 'adaptbench[lora]'"
        ) from None
    valid = targets_of(model)
    for target in config.targets:
        if target not in valid:
            raise unknown("target", target, valid, at=f"{name}: lora.targets: ")
    settings = PeftConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        target_modules=list(config.targets or valid),
        lora_dropout=0.0,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inject_adapter_in_model(settings, model)
    _fix_weights(model)


def targets_of(model: Any) -> list[str]:
    """Last parts of the names of the matrices of the model's layers."""
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    matrices = (
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and module is not head
    )
    return list(dict.fromkeys(matrices))


def merged(model: Any) -> dict[str, Tensor]:
    """The weights of the model without adapters that gives the same logits, by its own names."""
    from peft.tuners.lora import LoraLayer

    layers: dict[str, Any] = {
        name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)
    }
    added = {
        f"{name}.base_layer.weight": module.get_delta_weight("default")
        for name, module in layers.items()
    }
    weights = dict(model.named_buffers(remove_duplicate=False))
    weights |= dict(model.named_parameters(remove_duplicate=False))
    return {
        name.replace(".base_layer.", "."): value.detach() + added[name] if name in added else value
        for name, value in weights.items()
        if ".lora_" not in name
    }


def _fix_weights(model: nn.Module) -> None:
    """Turn weights that are not trained into buffers."""
    for module in model.modules():
        fixed = {name: p for name, p in module._parameters.items() if p is not None}
        for name, value in fixed.items():
            if not value.requires_grad:
                del module._parameters[name]
                module.register_buffer(name, value.detach(), persistent=False)
