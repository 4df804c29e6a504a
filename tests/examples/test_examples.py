"""Every command of examples/README.md, run as written, and what comes of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from slurm.profile import load_profile
from tests.command_line import CommandLine

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
COMMITTED = Path("results") / "published" / "mini"
LINES = re.findall(r"^- \[(\S+?)\].*$", (EXAMPLES / "README.md").read_text(), flags=re.MULTILINE)


class Repository:
    """A folder with the examples and the committed records, in which commands run."""

    def __init__(self, adaptbench: CommandLine) -> None:
        self.folder, self.adaptbench = adaptbench.folder, adaptbench
        made = shutil.ignore_patterns("tickets.*", "__pycache__")
        shutil.copytree(EXAMPLES, self.folder / "examples", ignore=made)
        shutil.copytree(ROOT / COMMITTED, self.folder / COMMITTED)

    def call(self, name: str) -> list[str]:
        """What the commands of an example print; each must succeed without a warning."""
        return [self._call(command.split()) for command in commands(name)]

    def _call(self, command: list[str]) -> str:
        program = Path(sys.executable).with_name(Path(command[0]).name)
        done = subprocess.run(
            [program, *command[1:]],
            cwd=self.folder,
            env=self.adaptbench.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr
        return done.stdout

    def statuses(self, study: str) -> dict[str, str]:
        """By label, how the runs of a study ended."""
        files = (self.folder / "results" / study / "runs").glob("*/record.json")
        records = [json.loads(file.read_text()) for file in files]
        return {record["spec"]["method"]["label"]: record["status"] for record in records}


@pytest.fixture
def repository(adaptbench: CommandLine) -> Repository:
    return Repository(adaptbench)


def commands(name: str) -> list[str]:
    """The commands that README.md gives for an example."""
    (line,) = re.findall(rf"^- \[{name}\].*$", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    found: list[str] = re.findall(r"`(\.venv/bin/[^`]+)`", line)
    assert found
    return found


def test_the_readme_has_a_line_for_each_example() -> None:
    own = {entry.name for entry in EXAMPLES.iterdir()} - {"README.md", "__pycache__"}
    assert sorted(LINES) == sorted(own)


@pytest.mark.long
def test_own_text(repository: Repository) -> None:
    (printed,) = repository.call("own_text")
    assert repository.statuses("own_text") == dict.fromkeys(
        ("pretraining", "mixing", "dds"), "done"
    )
    assert "after fine-tuning" in printed
    assert (repository.folder / "results" / "own_text" / "figures" / "final.png").exists()


@pytest.mark.long
def test_own_method(repository: Repository) -> None:
    checked, printed = repository.call("own_method")
    assert "FAILED" not in checked
    assert "resume" in checked
    assert repository.statuses("own_method") == dict.fromkeys(("pretraining", "agreeing"), "done")
    assert "agreeing" in printed
    metrics = (repository.folder / "results" / "own_method" / "runs").glob("*agreeing*/*.jsonl")
    for line in next(metrics).read_text().splitlines():
        figures = json.loads(line)
        if figures["stage"] == "trained":
            assert figures["agreement/chosen"] > figures["agreement/offered"]


@pytest.mark.long
def test_the_state_of_the_own_method_is_needed(repository: Repository) -> None:
    """The comment in the file says what the check finds without the declaration."""
    file = repository.folder / "examples" / "own_method" / "agreeing_rows.py"
    text = file.read_text()
    assert text.count('    state = ("mean",)\n') == 1
    file.write_text(text.replace('    state = ("mean",)\n', ""))
    checked = repository.adaptbench("check", file)
    assert checked.returncode == 1
    failed = [line.split()[0] for line in checked.stdout.splitlines() if "FAILED" in line]
    assert "resume" in failed


@pytest.mark.long
def test_custom_source(repository: Repository) -> None:
    wrote, shown, _ = repository.call("custom_source")
    assert wrote.startswith("600 documents")
    labels = ("pretraining", "classifier_filter")
    assert repository.statuses("custom_source") == dict.fromkeys(labels, "done")
    assert "Ticket" in shown
    record = next((repository.folder / "results" / "custom_source").glob("runs/*/record.json"))
    domains = json.loads(record.read_text())["data"]["domain_rows"]
    assert sorted(domains) == ["accounts", "network", "printers"]


def test_read_records(repository: Repository) -> None:
    (printed,) = repository.call("read_records.py")
    changes, steps = (table.splitlines() for table in printed.split("\n\n"))
    # Test losses of README.md: 2.614 and 2.349 (pretraining), 2.418 and 2.336 (mixing), on the
    # target medical_hpo; there dds gets as low on valid as pretraining only when both end.
    assert row(changes, "mixing")[:2] == ["-7.5", "-0.5"]
    assert row(changes, "pretraining") == ["0.0"] * 4
    assert row(steps, "pretraining")[0] == "200"
    assert row(steps, "dds") == ["200", "never"]
    assert int(row(steps, "mixing")[0]) < int(row(steps, "classifier")[0]) < 200


def row(table: list[str], name: str) -> list[str]:
    """The cells of the line that begins with ``name``."""
    (line,) = (line for line in table if line.split()[:1] == [name])
    return line.split()[1:]


@pytest.mark.long
def test_slurm_profile(repository: Repository) -> None:
    (plan,) = repository.call("slurm_profile.yaml")
    assert "3" in plan
    assert not (repository.folder / "results" / "own_text" / "runs").exists()
    profile = load_profile(EXAMPLES / "slurm_profile.yaml")
    assert profile.executor == "slurm"
    assert [entry.methods or entry.models for entry in profile.overrides] == [
        ("less", "doge"),
        ("large",),
    ]
