"""Do rows and model mean the same by a token? Start symbols, and the tokenizers of checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark.core.errors import UserError, one_line
from benchmark.core.hub import name_and_commit

_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "spiece.model",
    "vocab.json",
    "vocab.txt",
)

MOST_BYTE_TOKENS = 512
"""Tokens of a model of bytes: 256, a few special ones, and what rounds them up."""


def start_symbol(name: str, tokenizer: str, *of_model: Any) -> int:
    """The token id that every row starts behind: 0 for bytes, whose texts never hold it.

    Else the first that there is: those of the model (its start, for a checkpoint also its end of
    text), start and end of text of the tokenizer.

    Raises:
        UserError: there is none.
    """
    if tokenizer == "bytes":
        return 0
    for given in of_model:
        found = given[0] if isinstance(given, list) and given else given
        if isinstance(found, int):
            return found
    own = _load(tokenizer)
    for found in (own.bos_token_id, own.eos_token_id):
        if isinstance(found, int):
            return found
    raise UserError(
        f"{name} has no start symbol, and tokenizer {tokenizer!r} has neither bos_token nor "
        "eos_token: set bos_token_id (in huggingface_config, or in the checkpoint's config.json)"
    )


def require_own_tokenizer(checkpoint: str, tokenizer: str) -> None:
    """Refuse rows whose ids mean other tokens than those that the checkpoint was trained on.

    A checkpoint that comes without a tokenizer cannot be asked.

    Raises:
        UserError: it comes with one, whose vocabulary is not that of ``tokenizer``.
    """
    if _same_place(checkpoint, tokenizer) or not _has_tokenizer(checkpoint):
        return
    if tokenizer != "bytes" and _load(tokenizer).get_vocab() == _load(checkpoint).get_vocab():
        return
    raise UserError(
        f"model {checkpoint!r} comes with a tokenizer of its own, whose token ids are not those of "
        f"data.tokenizer {tokenizer!r}: set data.tokenizer to {checkpoint!r}"
    )


def require_bytes_known(checkpoint: str, tokenizer: str, known: int) -> None:
    """Refuse byte rows for a checkpoint of ``known`` tokens that cannot be bytes.

    Raises:
        UserError: there are far more than 256 and some special ones.
    """
    if tokenizer == "bytes" and known > MOST_BYTE_TOKENS:
        raise UserError(
            f"model {checkpoint!r} knows {known} tokens, which are not bytes: set data.tokenizer "
            "to the tokenizer that it was trained with"
        )


def _same_place(a: str, b: str) -> bool:
    if Path(a).is_dir() and Path(b).is_dir():
        return Path(a).samefile(b)
    return name_and_commit(a)[0] == name_and_commit(b)[0]


def _has_tokenizer(checkpoint: str) -> bool:
    if Path(checkpoint).is_dir():
        return any((Path(checkpoint) / file).exists() for file in _FILES)
    from transformers.utils.hub import cached_file

    name, commit = name_and_commit(checkpoint)
    for file in _FILES:
        try:
            if cached_file(
                name, file, revision=commit, _raise_exceptions_for_missing_entries=False
            ):
                return True
        except (OSError, ValueError):
            # What cannot be reached is told of when the weights are loaded.
            return False
    return False


def _load(name: str) -> Any:
    from transformers import AutoTokenizer

    place, commit = name_and_commit(name)
    try:
        return AutoTokenizer.from_pretrained(place, revision=commit, trust_remote_code=False)
    except Exception as error:
        raise UserError(
            f"the tokenizer of {name!r} cannot be loaded ({one_line(error)}): mend its files"
        ) from error
