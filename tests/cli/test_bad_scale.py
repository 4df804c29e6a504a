"""What goes wrong at scale: one line that says what and where, and nothing lost."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from tests.command_line import CommandLine
from tests.conftest import sentences

GPT2 = {"model_type": "gpt2", "n_layer": 1, "n_embd": 16, "n_head": 2, "bos_token_id": 0}


def micro_batch(content: dict[str, Any], _: Path) -> None:
    content["training"]["micro_batch"] = 3


def adapter_target(content: dict[str, Any], _: Path) -> None:
    adapters = {"rank": 2, "targets": ["q_proj"]}
    content["models"] = {"nano": {"huggingface_config": GPT2, "lora": adapters}}


def pickled(content: dict[str, Any], folder: Path) -> None:
    config = GPT2Config(**{key: value for key, value in GPT2.items() if key != "model_type"})
    config.vocab_size = 256
    config.save_pretrained(folder / "model")
    torch.save(GPT2LMHeadModel(config).state_dict(), folder / "model" / "pytorch_model.bin")
    content["models"] = {"nano": {"huggingface": str(folder / "model")}}


def small_vocabulary(content: dict[str, Any], _: Path) -> None:
    content["models"] = {"nano": {"huggingface_config": GPT2 | {"vocab_size": 100}}}


def cut_shard(content: dict[str, Any], folder: Path) -> None:
    shards = folder / "c4"
    shards.mkdir()
    for number in range(3):
        lines = "".join(
            json.dumps({"text": text}) + "\n" for text in sentences("garden", 99, number)
        )
        whole = gzip.compress(lines.encode(), mtime=0)
        file = shards / f"c4-train.0000{number}-of-01024.json.gz"
        file.write_bytes(whole[:-50] if number == 1 else whole)
    content["data"]["generic"] = str(shards)


BAD: dict[str, tuple[Callable[[dict[str, Any], Path], None], str]] = {
    "micro-batch": (micro_batch, "training: micro_batch: 3 rows do not divide batch 8"),
    "adapters": (adapter_target, "lora.targets: unknown target 'q_proj'"),
    "pickled": (pickled, "its weights are pickled (pytorch_model.bin), which can run code"),
    "vocabulary": (small_vocabulary, "knows 100 tokens but tokenizer 'bytes' makes 256"),
    "shard": (cut_shard, "c4-train.00001-of-01024.json.gz: the file is cut short: fetch it again"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line(
    name: str,
    adaptbench: CommandLine,
    content: dict[str, Any],
    write_study: Callable[[dict[str, Any]], Path],
    tmp_path: Path,
) -> None:
    change, said = BAD[name]
    content["methods"] = ["pretraining"]
    change(content, tmp_path)
    ended = adaptbench("run", write_study(content), "--no-report")
    assert ended.returncode != 0
    lines = [line for line in ended.stderr.splitlines() if said in line]
    assert len(lines) == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list((tmp_path / "results").glob("*/runs/*/record.json"))
