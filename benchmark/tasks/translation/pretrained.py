"""Sequence-to-sequence models of Hugging Face as main models."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmark.core.errors import UserError
from benchmark.core.hub import name_and_commit
from benchmark.data import PreparedData
from benchmark.data.config import DataConfig
from benchmark.models.config import ModelConfig, TransformerConfig
from benchmark.models.drawn import refusing
from benchmark.models.huggingface import name_of
from benchmark.models.probe import probe_rows
from benchmark.models.probed import Findings, remembered
from benchmark.models.vocabulary import require_bytes_known, require_own_tokenizer
from benchmark.tasks.translation.model import EncoderDecoder, TranslationModel

_ADVICE = "give a sequence-to-sequence model: a folder with config.json and safetensors weights"


class HuggingFaceTranslator(TranslationModel):
    """A sequence-to-sequence model of transformers.

    Row tokens are ``id + id_offset``: 1 for rows of a Hugging Face tokeniser (0 is kept for
    padding), 0 for byte rows, whose padding doubles as the start symbol.
    """

    def __init__(self, model: Any, rows: PreparedData, id_offset: int, start_id: int) -> None:
        super().__init__(rows.given)
        self.model, self.id_offset, self.start_id = model, id_offset, start_id
        self.layout = (rows.vocabulary_size, rows.width)
        self.central_differences: tuple[str, ...] = ()
        self.without_hessian = False

    @property
    def size(self) -> TransformerConfig:
        """The size of our transformer that comes closest."""
        config = self.model.config
        width = config.hidden_size
        return TransformerConfig(
            layers=config.num_hidden_layers,
            width=width,
            heads=config.num_attention_heads,
            hidden=getattr(config, "d_ff", None) or getattr(config, "decoder_ffn_dim", 4 * width),
        )

    def resized(self, scale: float, seed: int) -> EncoderDecoder:
        """Our model, ``scale`` times as deep and wide as this one."""
        return EncoderDecoder(self.size.scaled(scale), *self.layout, self.given, seed)

    def encode(self, source: Tensor) -> Tensor:
        ids = (source - self.id_offset).clamp(min=0)
        real = (source > 0).long()
        found = self.model.get_encoder()(input_ids=ids, attention_mask=real, return_dict=True)
        states: Tensor = found.last_hidden_state
        return states

    def decode(self, states: Tensor, source: Tensor, before: Tensor) -> Tensor:
        from transformers.modeling_outputs import BaseModelOutput

        ids = (before - self.id_offset).clamp(min=0)
        start = torch.full_like(ids[:, :1], self.start_id)
        scores: Tensor = self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            attention_mask=(source > 0).long(),
            decoder_input_ids=torch.cat([start, ids[:, 1:]], 1),
            use_cache=False,
            return_dict=True,
        ).logits
        return scores


def build_pretrained(
    config: ModelConfig, data: DataConfig, rows: PreparedData, seed: int
) -> HuggingFaceTranslator:
    """The model of a checkpoint, or one from scratch whose weights ``seed`` draws.

    What its probe finds is remembered in the cache.

    Raises:
        UserError: it cannot be made, does not fit the rows, or fails its probe.
    """
    tokenizer = data.loaded_tokenizer
    id_offset = 0 if tokenizer == "bytes" else 1
    name, ids = name_of(config), rows.vocabulary_size - id_offset
    if config.huggingface is not None:
        require_own_tokenizer(config.checkpoint, tokenizer)
        model = _loaded(config, name)
        known = len(model.get_input_embeddings().weight)
        require_bytes_known(config.huggingface, tokenizer, known)
    else:
        model = _drawn(config, ids, seed)
    start = _start(model, name, id_offset)
    _require_fit(model, name, ids, rows)
    # Rows are padded by the harness: a padding token of the model's own would only mask gradients.
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.padding_idx = None
    made = HuggingFaceTranslator(model, rows, id_offset, start)
    pairs = _two_rows(rows)

    def probed() -> Findings:
        differences, without_hessian = probe_rows(made, name, pairs)
        return Findings(central_differences=differences, without_hessian=without_hessian)

    layout = (rows.vocabulary_size, rows.width, f"pairs {tokenizer}")
    found = remembered(config, layout, rows.cache / "probes", probed)
    made.central_differences = found.central_differences
    made.without_hessian = found.without_hessian
    return made


def _loaded(config: ModelConfig, name: str) -> Any:
    from transformers import AutoModelForSeq2SeqLM

    place, commit = name_and_commit(config.checkpoint)
    with refusing(name, _ADVICE):
        # Never a pickle and never code of others: only safetensors weights are accepted.
        loaded: Any = AutoModelForSeq2SeqLM.from_pretrained(
            place,
            revision=commit,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.get_default_dtype(),
            output_loading_info=True,
        )
    model, report = loaded
    if fresh := sorted(report["missing_keys"]):
        raise UserError(
            f"{name}: the checkpoint lacks {fresh[0]} and {len(fresh) - 1} more, which would be "
            "drawn at random: give a checkpoint that was saved whole"
        )
    return model


def _drawn(config: ModelConfig, ids: int, seed: int) -> Any:
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    given = dict(config.huggingface_config or {})
    kind = given.pop("model_type")
    usual = {"vocab_size": ids, "pad_token_id": 0, "decoder_start_token_id": 0}
    with (
        refusing(f"huggingface_config of model_type {kind!r}", "correct its options"),
        torch.random.fork_rng(),
    ):
        torch.manual_seed(seed)
        settings = AutoConfig.for_model(kind, **{**usual, **given})
        return AutoModelForSeq2SeqLM.from_config(settings, dtype=torch.get_default_dtype())


def _start(model: Any, name: str, id_offset: int) -> int:
    if id_offset == 0:
        return 0
    for key in ("decoder_start_token_id", "bos_token_id"):
        found = getattr(model.config, key, None)
        if isinstance(found, int):
            return found
    raise UserError(f"{name} has no decoder_start_token_id: set it in its configuration")


def _require_fit(model: Any, name: str, ids: int, rows: PreparedData) -> None:
    known = len(model.get_input_embeddings().weight)
    if known < ids:
        raise UserError(
            f"{name} knows {known} tokens but the data's tokeniser makes {ids}: set data.tokenizer "
            "to the model's own"
        )
    longest = getattr(model.config, "max_position_embeddings", None)
    if longest is not None and 0 < longest < max(rows.given, rows.width - rows.given):
        raise UserError(
            f"half of data.width {rows.width} is longer than the {longest} positions of {name}: "
            f"use a width of {2 * longest} or less"
        )


def _two_rows(rows: PreparedData) -> Tensor:
    """Two made-up rows, both sides of the second padded."""
    generator = torch.Generator().manual_seed(0)
    made = torch.randint(1, rows.vocabulary_size, (2, rows.width), generator=generator)
    made[1, rows.given // 2 : rows.given] = 0
    made[1, (rows.given + rows.width) // 2 :] = 0
    made[:, : rows.given] *= -1
    return made
