"""Bad input: one clear line with the file, the key, the bad value and what is valid."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.core.errors import UserError
from benchmark.methods.registry import check_methods
from benchmark.study.loading import embedded_studies, load_study
from tests.command_line import CommandLine

WriteStudy = Callable[[dict[str, Any]], Path]


def changed(content: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The content with the entry at a dotted key replaced (removed for None)."""
    content = copy.deepcopy(content)
    *path, last = key.split(".")
    inner: Any = content
    for part in path:
        inner = inner[int(part)] if isinstance(inner, list) else inner[part]
    if value is None:
        del inner[last]
    else:
        inner[int(last) if isinstance(inner, list) else last] = value
    return content


NETWORK = {"network": {"kind": "recurrent"}}
BAD = {
    "typing error in a needed key": (
        "training",
        {"stepz": 4},
        r"training\.stepz: unknown key 'stepz' \(did you mean 'steps'",
    ),
    "setting beside the method": (
        "methods.0",
        {"method": "dds", "downsampling": 4},
        r"methods\.0: unknown key 'downsampling'.*hyperparameters.*holds the settings",
    ),
    "settings under the method": (
        "methods.0",
        {"dds": {"downsampling": 4}},
        r"methods\.0: must have the key method: write \{method: dds, hyperparameters",
    ),
    "missing file": (
        "targets.harbour.source",
        "data/none.jsonl",
        r"targets\.harbour\.source: no such file or folder; paths are relative.*data/none",
    ),
    "pattern": ("targets.harbour.source", "data/*.txt", r"source: patterns are not read as such"),
    "misspelled kind of source": (
        "targets.harbour.source",
        {"file": "a.txt"},
        r"source: a source is a name.*\(did you mean 'files'",
    ),
    "seed out of range": ("seeds", [1 << 63], r"seeds\.0: must be less than"),
    "unknown key": (
        "sedes",
        [1],
        r"sedes: unknown key 'sedes' \(did you mean 'seeds'\?\); valid: data,",
    ),
    "unknown nested key": (
        "training.step",
        5,
        r"training\.step: unknown key 'step' \(did you mean 'steps'",
    ),
    "unknown model key": (
        "models.nano.transformer.depth",
        5,
        r"unknown key 'depth' .*valid: .*dropout, heads",
    ),
    "unknown method": (
        "methods.0",
        "pretrianing",
        r"methods\.0: unknown method 'pretrianing' \(did you mean 'pretraining'",
    ),
    "unknown target": (
        "targets.harbour.source",
        "medical_hop",
        r"targets\.harbour\.source.*'medical_hop' \(did you mean 'medical_hpo'",
    ),
    "unknown preset": (
        "models.nano",
        {"preset": "huge"},
        r"models\.nano: unknown preset 'huge'; valid: mini, paper, small",
    ),
    "two models in one": (
        "models.nano.preset",
        "mini",
        r"models\.nano: give exactly one of preset, transformer",
    ),
    "wrong type": ("training.steps", "many", r"training\.steps: .*valid integer.*\(got 'many'\)"),
    "out of range": ("training.batch", 0, r"training\.batch: .*greater than 0 \(got 0\)"),
    "missing key": ("training.steps", None, r"training\.steps: is missing"),
    "no methods": ("methods", [], r"methods: .*at least 1 item"),
    "same label twice": ("methods", ["random", "random"], r"methods: 'random' is used twice"),
    "planted without sizes": (
        "targets.harbour.planted",
        {"source": "kjv", "share": 0.1},
        r"targets\.harbour\.planted: .*make data\.generic a mixture and give every part megabytes",
    ),
    "planted share": (
        "targets.harbour.planted",
        {"source": "kjv", "share": 1.0},
        r"targets\.harbour\.planted\.share: .*less than 1 \(got 1\.0\)",
    ),
    "unknown hyper-parameter": (
        "methods.0",
        {"method": "dds", "hyperparameters": {"lookahead": 1}},
        r"methods\.0: dds: hyperparameters\.lookahead: unknown key .* \(did you mean 'look_ahead'",
    ),
    "bad hyper-parameter": (
        "methods.0",
        {"method": "dds", "hyperparameters": {"look_ahead": -1}},
        r"hyperparameters\.look_ahead: .*greater than or equal to 0 \(got -1\)",
    ),
    "bad choice": (
        "methods.0",
        {"method": "dds", "hyperparameters": NETWORK},
        r"hyperparameters\.network\.kind: .*'convolution' or 'bag_of_ngrams' \(got 'recurrent'\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_studies(content: dict[str, Any], write_study: WriteStudy, case: str) -> None:
    key, value, message = BAD[case]
    file = write_study(changed(content, key, value))
    with pytest.raises(UserError, match=message) as caught:
        check_methods(load_study(file), file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("bytes_", "message"),
    [
        (b"study: [", "not valid YAML"),
        (b"- a\n- b\n", "a study is a mapping with the keys study, description"),
        (b"study: \xff\xfe", r"not UTF-8 text \(byte 7\)"),
        (b"study: !!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
)
def test_unreadable_studies(tmp_path: Path, bytes_: bytes, message: str) -> None:
    file = tmp_path / "study.yaml"
    file.write_bytes(bytes_)
    with pytest.raises(UserError, match=message) as caught:
        load_study(file)
    assert "\n" not in str(caught.value)


def refused(adaptbench: CommandLine, *arguments: str | Path) -> str:
    """The single line that the command refuses with."""
    result = adaptbench(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_missing_study(adaptbench: CommandLine) -> None:
    said = refused(adaptbench, "run", "nowhere.yaml")
    assert f"nowhere.yaml: no such study file; embedded: {', '.join(embedded_studies())}" in said
    assert "unknown study 'mimi' (did you mean 'mini'?)" in refused(adaptbench, "run", "mimi")


def test_errors_of_the_command_have_no_traceback(
    adaptbench: CommandLine, content: dict[str, Any], write_study: WriteStudy
) -> None:
    file = write_study(changed(content, "training.steps", "many"))
    assert "training.steps" in refused(adaptbench, "run", file)
    debugged = adaptbench("--debug", "run", file)
    assert "Traceback" in debugged.stderr
    assert debugged.returncode != 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no document of min_tokens 16"),
        ("The same paragraph about a harbour, again and again.\n\n" * 500, "duplicate"),
        ("A single paragraph about a harbour and its ships.", "train|valid|test"),
    ],
)
def test_useless_targets(
    adaptbench: CommandLine,
    content: dict[str, Any],
    write_study: WriteStudy,
    corpus: tuple[Path, Path],
    text: str,
    message: str,
) -> None:
    import re

    corpus[1].write_text(text)
    line = refused(adaptbench, "run", write_study(content))
    assert re.search(message, line), line


def test_unreadable_bytes(
    adaptbench: CommandLine,
    content: dict[str, Any],
    write_study: WriteStudy,
    corpus: tuple[Path, Path],
) -> None:
    corpus[1].write_bytes(b"Fine text.\n\n" * 50 + b"\xff\xfe broken \xc3\x28\n")
    line = refused(adaptbench, "run", write_study(content))
    assert "target.txt" in line
    assert "UTF-8" in line


def test_target_smaller_than_a_batch(
    adaptbench: CommandLine, content: dict[str, Any], write_study: WriteStudy
) -> None:
    line = refused(adaptbench, "run", write_study(changed(content, "targets.harbour.train", 5)))
    assert "targets.harbour.train: 5 rows are fewer than one batch" in line


def test_no_cuda(adaptbench: CommandLine, content: dict[str, Any], write_study: WriteStudy) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    line = refused(adaptbench, "run", write_study(content), "--device", "cuda")
    assert "valid: cpu" in line


def test_table_without_results(adaptbench: CommandLine) -> None:
    assert "no results here; run a study first" in refused(adaptbench, "table", "mini")


def test_unwritable_results(
    adaptbench: CommandLine, content: dict[str, Any], write_study: WriteStudy
) -> None:
    (adaptbench.folder / "results").write_text("a file where the folder should be")
    line = refused(adaptbench, "run", write_study(content))
    assert "cannot be written" in line


@pytest.mark.parametrize("command", [("table",), ("report",), ("compare", "a", "b")])
def test_results_that_are_not_there(adaptbench: CommandLine, command: tuple[str, ...]) -> None:
    name, *others = command
    missing = adaptbench(name, "none.yaml", *others)
    assert missing.returncode == 2
    assert "none.yaml: no such study file" in missing.stderr
    unknown = adaptbench(name, "nobody", *others)
    assert unknown.returncode == 2
    assert "no results here" in unknown.stderr
