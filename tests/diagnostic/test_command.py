"""``adaptbench diagnose`` as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmark.cli.app import app
from benchmark.core.errors import UserError
from benchmark.diagnostic.records import read_diagnosis
from benchmark.diagnostic.settings import parse_at
from benchmark.models.checkpoint import save_checkpoint
from tests.command_line import CommandLine

WriteStudy = Callable[[dict[str, Any]], Path]


def comparable(file: Path) -> dict[str, Any]:
    """A diagnosis without its seconds."""
    content: dict[str, Any] = json.loads(file.read_text())
    assert content["cost"]["bill"].pop("seconds") > 0
    return content


@pytest.mark.long
def test_from_a_study_to_files_and_the_same_again(
    adaptbench: CommandLine, content: dict[str, Any], write_study: WriteStudy
) -> None:
    study = write_study(content)
    first = adaptbench("diagnose", study, "--target", "harbour")
    assert first.returncode == 0, first.stderr
    folder = adaptbench.folder / "results" / "tiny" / "diagnosis"
    file = folder / "nano-harbour-s0.json"
    record = read_diagnosis(file)
    assert [(c.label, c.step) for c in record.checkpoints] == [("30%", 4), ("100%", 12)]
    figures = {path.name for path in (folder / "figures").iterdir()}
    assert figures == {
        f"nano-harbour-s0{page}.{ending}"
        for page in ("", "-reference-matrix")
        for ending in ("png", "pdf")
    }
    assert "pretraining is shared and not charged" in first.stdout
    assert str(file.relative_to(adaptbench.folder)) in first.stderr

    states = list((adaptbench.cache / "pretrained").glob("*/*.safetensors"))
    assert len(states) == 2
    made = {path: path.stat().st_mtime_ns for path in states}
    assert invoke(adaptbench.folder / "again", study, "--cache", adaptbench.cache) is None
    assert made == {path: path.stat().st_mtime_ns for path in states}
    other = adaptbench.folder / "again" / "results" / "tiny" / "diagnosis" / file.name
    assert comparable(other) == comparable(file)
    without = [
        [line for line in path.read_text().splitlines() if '"seconds"' not in line]
        for path in (file, other)
    ]
    assert without[0] == without[1]


def invoke(folder: Path, study: Path, *arguments: str | Path) -> Exception | None:
    """Run the command in this process; what it raised."""
    options = ["--results", folder / "results", "--cache", folder / "cache"]
    result = CliRunner().invoke(app, list(map(str, ["diagnose", study, *options, *arguments])))
    error = result.exception
    assert error is None or isinstance(error, Exception)
    return error


def test_bad_input_is_refused_and_overwrites_nothing(
    tmp_path: Path, content: dict[str, Any], write_study: WriteStudy
) -> None:
    study = write_study(content)
    file = tmp_path / "results" / "tiny" / "diagnosis" / "nano-harbour-s0.json"
    file.parent.mkdir(parents=True)
    file.write_text("an earlier diagnosis")
    alien = tmp_path / "alien.safetensors"
    save_checkpoint(alien, {})
    for arguments, message in (
        (("--target", "harbor"), "--target: unknown target 'harbor' (did you mean 'harbour'?)"),
        (("--model", "big"), "--model: unknown model 'big'; valid: nano"),
        (("--at", "100%,30%"), "--at: '100%,30%' is no list of checkpoints"),
        (("--batches", "50"), "targets.harbour.train: 100 rows cannot be split into --batches 50"),
        (("--checkpoint", alien), "alien.safetensors: the checkpoint is of another architecture"),
        (("--checkpoint", tmp_path / "no"), "no: no such file"),
    ):
        error = invoke(tmp_path, study, *arguments)
        assert isinstance(error, UserError), arguments
        assert message in str(error)
    hopeless = content["training"] | {"rate": 1e30}
    error = invoke(tmp_path, write_study(content | {"training": hopeless}))
    assert isinstance(error, UserError)
    assert "lower training.rate" in str(error)
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert file.read_text() == "an earlier diagnosis"


@pytest.mark.long
def test_a_checkpoint_of_ones_own_and_the_reference_normalisation(
    tmp_path: Path, content: dict[str, Any], write_study: WriteStudy
) -> None:
    study = write_study(content)
    assert invoke(tmp_path, study, "--at", "100%", "--seed", "3", "--convergence") is None
    (state,) = (tmp_path / "cache" / "pretrained").glob("*/12.safetensors")
    folder = tmp_path / "results" / "tiny" / "diagnosis"
    assert (folder / "figures" / "nano-harbour-s3-convergence.pdf").stat().st_size > 0
    made = read_diagnosis(folder / "nano-harbour-s3.json")
    arguments = ("--checkpoint", state, "--normalisation", "reference", "--seed", "3")
    assert invoke(tmp_path, study, *arguments) is None
    given = read_diagnosis(folder / "nano-harbour-s3.json")
    assert given.last.step is None
    assert given.last.weights == made.last.weights
    assert (made.settings.normalisation, given.settings.normalisation) == ("cosine", "reference")
    assert given.last.generic != made.last.generic


@pytest.mark.parametrize(
    ("text", "shares"), [("10%,30%,100%", (0.1, 0.3, 1.0)), (" 5, 50 ", (0.05, 0.5))]
)
def test_checkpoints_are_percentages(text: str, shares: tuple[float, ...]) -> None:
    assert parse_at(text) == pytest.approx(shares)


@pytest.mark.parametrize("text", ["", "half", "130%", "-1%", "30%,30%", "50%,10%", "nan"])
def test_other_checkpoints_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="valid: rising percentages of the training steps"):
        parse_at(text)
