"""Our models as those of `transformers`, to the same logits.

Our transformer is a GPT-2 with ReLU, fixed sinusoids for positions, no biases in attention, and a
head of its own: the embedding over the root of the width.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from benchmark.models.huggingface import HuggingFaceModel
from benchmark.models.lora import merged
from benchmark.models.transformer import Block, Transformer

NORM_EPSILON = 1e-6


def as_huggingface(model: nn.Module, shift: int) -> tuple[Any, int]:
    """A model of `transformers` with the weights of ``model``, and its start symbol.

    ``shift`` is what row tokens are above the ids of the tokenizer; where it is 1, the start symbol
    follows the tokenizer's ids. Adapters are added to the weights that they belong to.
    """
    if isinstance(model, Transformer):
        return _gpt2(model, shift)
    assert isinstance(model, HuggingFaceModel)
    made = model.model
    weights = merged(made) if model.adapted else None
    if weights is not None:
        # Without its adapters, of which the state is none any more.
        made = type(made)(made.config)
        made.load_state_dict({name: weights[name] for name in made.state_dict()})
    made.config.bos_token_id = model.start_id
    return made.eval(), model.start_id


@torch.no_grad()
def _gpt2(model: Transformer, shift: int) -> tuple[Any, int]:
    from transformers import GPT2Config, GPT2LMHeadModel

    size, vocabulary = model.size, len(model.embedding.weight)
    start = (vocabulary - shift) % vocabulary
    config = GPT2Config(
        vocab_size=vocabulary,
        n_positions=len(model.positions),
        n_embd=size.width,
        n_layer=size.layers,
        n_head=size.heads,
        n_inner=size.hidden,
        activation_function="relu",
        layer_norm_epsilon=NORM_EPSILON,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        tie_word_embeddings=False,
        bos_token_id=start,
        eos_token_id=start,
    )
    made: Any = GPT2LMHeadModel(config)
    made.to(model.embedding.weight.dtype)
    # Row token 0, the start symbol, goes behind those of the tokenizer.
    embedding = model.embedding.weight.roll(-shift, 0)
    made.transformer.wte.weight.copy_(embedding)
    made.lm_head.weight.copy_(embedding / math.sqrt(size.width))
    made.transformer.wpe.weight.copy_(model.positions)
    for ours, theirs in zip(model.blocks, made.transformer.h, strict=True):
        assert isinstance(ours, Block)
        theirs.ln_1.load_state_dict(ours.attention_norm.state_dict())
        theirs.ln_2.load_state_dict(ours.mlp_norm.state_dict())
        pairs = (
            (theirs.attn.c_attn, ours.query_key_value),
            (theirs.attn.c_proj, ours.attention_out),
            (theirs.mlp.c_fc, ours.mlp_in),
            (theirs.mlp.c_proj, ours.mlp_out),
        )
        for transposed, linear in pairs:
            transposed.weight.copy_(linear.weight.T)
            if linear.bias is None:
                transposed.bias.zero_()
            else:
                transposed.bias.copy_(linear.bias)
    made.transformer.ln_f.load_state_dict(model.norm.state_dict())
    return made.eval(), start
