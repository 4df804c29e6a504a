"""Tiny configurations of architectures of other libraries, for bytes and rows of 64 tokens."""

from __future__ import annotations

from typing import Any

WIDE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
ONE_KEY = {"num_key_value_heads": 1}
GEMMA = WIDE | ONE_KEY | {"head_dim": 16}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
BOTH = ("influence", "hessian_product")
ARCHITECTURES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "llama": (WIDE, ()),
    "qwen2": (WIDE | ONE_KEY, ()),
    "qwen3": (GEMMA, ()),
    "mistral": (WIDE | ONE_KEY, ()),
    "mamba": ({"hidden_size": 32, "num_hidden_layers": 1, "state_size": 4}, ()),
    "mixtral": (WIDE | ONE_KEY | {"num_local_experts": 4}, ()),
    "bloom": ({"hidden_size": 32, "n_layer": 1, "n_head": 2}, BOTH),
    "gemma": (GEMMA, ()),
    "gemma2": (GEMMA, ()),
    "gemma3_text": (GEMMA, ()),
    "gpt2": ({"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 64}, ()),
    "gpt_neox": (WIDE, ()),
    "opt": (
        {
            "hidden_size": 32,
            "word_embed_proj_dim": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "ffn_dim": 64,
            "max_position_embeddings": 64,
        },
        (),
    ),
    "phi3": (WIDE, ()),
    "qwen3_moe": (GEMMA | EXPERTS | {"num_key_value_heads": 2}, ()),
}
"""By model type: options, and the functions that go by central differences."""
