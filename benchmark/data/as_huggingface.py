"""Our tokenizers as those of `transformers`, to the same ids."""

from __future__ import annotations

from typing import Any

from benchmark.core.errors import UserError
from benchmark.core.hub import name_and_commit
from benchmark.data.tokenizers import BYTES

START = "\0"
"""Text of the start symbol of bytes, which no text holds."""


def as_huggingface(name: str, start: int) -> Any:
    """The tokenizer that rows were made with, ``start`` being the id that texts start behind.

    Raises:
        UserError: the start symbol is a token of its own, and has no place behind the others.
    """
    if name == BYTES:
        return _bytes()
    from transformers import AutoTokenizer

    place, commit = name_and_commit(name)
    tokenizer: Any = AutoTokenizer.from_pretrained(place, revision=commit)
    if start not in tokenizer.get_vocab().values():
        tokenizer.add_special_tokens({"bos_token": "<|start of row|>"})
        if tokenizer.bos_token_id != start:
            raise UserError(
                f"data.tokenizer: the ids of {name!r} have gaps, so that the start symbol {start} "
                "of the model's rows cannot be added: the model cannot be exported"
            )
    elif tokenizer.bos_token_id != start:
        tokenizer.bos_token = tokenizer.convert_ids_to_tokens(start)
    return tokenizer


def _bytes() -> Any:
    """A tokenizer whose ids are the bytes of UTF-8."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    signs = _signs_of_bytes()
    vocabulary = {START if value == 0 else sign: value for value, sign in enumerate(signs)}
    model = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    model.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=model,
        bos_token=START,
        eos_token=START,
        pad_token=START,
        clean_up_tokenization_spaces=False,
    )


def _signs_of_bytes() -> list[str]:
    """The sign that byte-level tokenizers write for each byte (GPT-2's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [value for value in range(256) if value not in printable]
    signs = {value: chr(value) for value in printable}
    signs |= {value: chr(256 + place) for place, value in enumerate(others)}
    return [signs[value] for value in range(256)]
