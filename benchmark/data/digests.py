"""Digests of folders that libraries load whole: tokenisers and checkpoints."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from benchmark.data.files import content_digest

_WEIGHTS = re.compile(r".*\.(safetensors|bin|pth?|ckpt|h5|msgpack|gguf|onnx)(\.index\.json)?")
_MODEL = re.compile(r".*\.(json|safetensors)")
_NOT_OF_MODEL = re.compile(
    r"(tokenizer|special_tokens|added_tokens|vocab|chat_template|preprocessor|processor"
    r"|generation_config|trainer_state|all_results|train_results|eval_results).*"
)


def tokenizer_digest(place: str, cache: Path) -> str:
    """Digest of a saved tokeniser's files, wherever they lie; empty if ``place`` is no path here.

    Weights that lie beside it do not count.
    """
    path = Path(place)
    if path.is_file():
        return content_digest(path, cache)
    return _digest(path, _WEIGHTS, re.compile(".*"), cache) if path.is_dir() else ""


def checkpoint_digest(place: str, cache: Path) -> str:
    """Digest of a checkpoint's configuration and weights; empty if ``place`` is no folder here.

    A tokeniser that lies beside them does not count, nor does what no model is built of.
    """
    path = Path(place)
    return _digest(path, _NOT_OF_MODEL, _MODEL, cache) if path.is_dir() else ""


def _digest(folder: Path, but: re.Pattern[str], read: re.Pattern[str], cache: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        name = path.name
        hidden = name.startswith(".")
        if not hidden and path.is_file() and read.fullmatch(name) and not but.fullmatch(name):
            line = f"{name} {content_digest(path, cache)}\n"
            digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()
