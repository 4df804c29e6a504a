"""Models from scratch: the options of a configuration, and the model that they describe."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from benchmark.core.errors import UserError, one_line, unknown

BYTES_A_PARAMETER = 16
"""Weight, gradient and two moments in single precision."""

_ROPE = (
    "rope_type",
    "type",
    "rope_theta",
    "partial_rotary_factor",
    "factor",
    "original_max_position_embeddings",
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "short_factor",
    "long_factor",
    "low_freq_factor",
    "high_freq_factor",
    "mscale",
    "mscale_all_dim",
    "truncate",
)


def drawn(options: Mapping[str, Any], ids: int, seed: int) -> Any:
    """A model from scratch, in the default precision."""
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as KINDS

    kind = str(options.get("model_type"))
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        raise UserError(
            f"huggingface_config: model_type: {kind!r} is no causal language model of "
            f"transformers{f' (did you mean {near[0]!r}?)' if near else ''}; valid: its "
            f"{len(KINDS)} types, such as gpt2, llama, mamba or qwen2"
        )
    with refusing(f"huggingface_config of model_type {kind!r}", "correct its options"):
        usual = AutoConfig.for_model(kind)
        # The row of a padding token would start as zeros; a given one is taken as it is.
        unpadded = {"pad_token_id": None} if hasattr(usual, "pad_token_id") else {}
        given = {key: value for key, value in options.items() if key != "model_type"}
        settings = AutoConfig.for_model(kind, **{"vocab_size": ids, **unpadded, **given})
    _require_possible(given, usual, settings, kind)
    with (
        refusing(f"huggingface_config of model_type {kind!r}", "correct its options"),
        torch.random.fork_rng(),
    ):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(settings, dtype=torch.get_default_dtype())
    _require_known(given, usual, model, kind)
    return model


def _require_possible(given: Mapping[str, Any], usual: Any, settings: Any, kind: str) -> None:
    """Refuse sizes below 0, unknown keys of nested options, and models larger than this memory."""
    from transformers import AutoModelForCausalLM

    at = f"huggingface_config of {kind!r}: "
    for key, value in given.items():
        counted = isinstance(value, int) and isinstance(getattr(usual, key, None), int)
        if counted and not isinstance(value, bool) and value < 0 and "_id" not in key:
            raise UserError(f"{at}{key} must not be below 0 (got {value})")
    for key in ("rope_parameters", "rope_scaling"):
        _require_rope(given.get(key), usual, f"{at}{key}: ")
    said = f"huggingface_config of model_type {kind!r}"
    with refusing(said, "correct its options"), torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(settings)
    count = sum(parameter.numel() for parameter in empty.parameters())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if BYTES_A_PARAMETER * count > memory:
        raise UserError(
            f"{at}its {count:,} parameters need {BYTES_A_PARAMETER * count / 1e9:,.0f} GB to be "
            f"trained, and this machine has {memory / 1e9:,.0f}: give smaller sizes"
        )


def _require_rope(given: Any, usual: Any, at: str) -> None:
    """Refuse unknown options of rotary positions, which may be given for each kind of layer."""
    for key, value in given.items() if isinstance(given, dict) else ():
        if key not in _ROPE and not _asks_for(usual, key):
            raise unknown("option", key, _ROPE, at=at)
        _require_rope(value, usual, f"{at}{key}: ")


def _asks_for(settings: Any, key: object) -> bool:
    """Whether code of rotary positions, or of the architecture, looks up ``key`` by its name."""
    own = type(settings).__module__
    asking = (own, own.replace(".configuration_", ".modeling_"), "transformers.modeling_rope_utils")
    return any(f'"{key}"' in inspect.getsource(importlib.import_module(name)) for name in asking)


def _require_known(given: Collection[str], usual: Any, model: Any, kind: str) -> None:
    """Refuse options that the configuration has kept without knowing them."""
    known = {*usual.to_dict(), *type(usual).attribute_map}
    for key in given:
        kept = key in vars(model.config) and key not in known and not hasattr(usual, key)
        if kept and not _mentions(model, key):
            choices = [name for name in known if not name.startswith("_")]
            raise unknown("option", key, choices, at=f"huggingface_config of {kind!r}: ")


def _mentions(model: Any, key: str) -> bool:
    """Whether the model's own code asks its configuration for ``key``, as some do for more."""
    code = inspect.getsource(sys.modules[type(model).__module__])
    return re.search(rf"config\.{re.escape(key)}\b|config, \"{re.escape(key)}\"", code) is not None


@contextmanager
def refusing(name: str, advice: str) -> Iterator[None]:
    """Whatever a library says of a model that cannot be made, in one line."""
    try:
        yield
    except Exception as error:
        if isinstance(error, MemoryError) or "memory" in str(error):
            raise
        raise UserError(f"{name} could not be loaded: {one_line(error)}; {advice}") from error
