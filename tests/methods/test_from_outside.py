"""One file adds a method: installed, or beside a study, it is in every output like any other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from benchmark.methods import registry
from benchmark.report.figures.style import RC, method_styles
from benchmark.report.figures.write import FIGURES
from benchmark.report.results.inputs import load_results
from benchmark.running.trials import trial_study
from benchmark.study.study import Study
from tests.command_line import CommandLine

WriteStudy = Callable[[dict[str, Any]], Path]

METHOD = '''
"""Of a bigger batch, the last rows."""

from typing import Annotated

from pydantic import Field

from benchmark.api import Baseline, Batch, Choice, Hyperparameters


class Settings(Hyperparameters):
    offered: Annotated[int, Field(ge=1, le=8), Choice((1, 2, 4))] = 2


class Last(Baseline):
    name = "{name}"
    summary = "the last rows of a bigger batch"
    Hyperparameters = Settings

    def batch(self, step: int) -> Batch:
        big = self.task.big_batch(step, self.hyperparameters.offered)
        return self.task.generic_rows(big.positions[-self.task.batch_size :])
'''
INSTALLED, FILE = "from_a_package", "from_a_file"
METHODS = ("pretraining", INSTALLED, FILE)


@pytest.fixture
def outside(adaptbench: CommandLine) -> CommandLine:
    """The command with a method in an installed package and another in a file beside the study."""
    packages = adaptbench.folder / "site"
    info = packages / "outside-1.0.dist-info"
    info.mkdir(parents=True)
    (packages / "outside.py").write_text(METHOD.format(name=INSTALLED), encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[adaptbench.baselines]\n{INSTALLED} = outside:Last\n", encoding="utf-8"
    )
    file = adaptbench.folder / f"{FILE}.py"
    file.write_text(METHOD.format(name=FILE), encoding="utf-8")
    before = adaptbench.environment.get("PYTHONPATH", "")
    adaptbench.environment["PYTHONPATH"] = f"{packages}:{before}".rstrip(":")
    return adaptbench


def output_of(adaptbench: CommandLine, *arguments: str | Path) -> str:
    result = adaptbench(*arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def colours(figure: Figure) -> set[str]:
    """Colours of all lines and points of a figure."""
    lines = [line for axes in figure.axes for line in axes.get_lines()]
    points = [part for axes in figure.axes for part in axes.collections]
    faces = [face for part in points for face in part.get_facecolor()]
    edges = [face for part in points for face in part.get_edgecolor()]
    return {to_hex(line.get_color()) for line in lines} | {to_hex(f) for f in [*faces, *edges]}


def texts(figure: Figure) -> str:
    figure.canvas.draw()
    found = figure.findobj(lambda part: hasattr(part, "get_text"))
    return " ".join(part.get_text() for part in found).replace("\n", "")


@pytest.mark.long
def test_methods_from_outside_are_in_every_output(
    outside: CommandLine, content: dict[str, Any], write_study: WriteStudy
) -> None:
    listed: list[Any] = ["pretraining", INSTALLED, f"./{FILE}.py"]
    content = content | {"methods": listed}
    study = write_study(content)
    assert INSTALLED in output_of(outside, "list")
    printed = output_of(outside, "run", study, "--jobs", "2")
    assert all(name in printed for name in METHODS)

    results = outside.folder / "results" / "tiny"
    for table in ("md", "html", "tex", "csv"):
        text = (results / f"table.{table}").read_text(encoding="utf-8").replace("\\_", "_")
        assert all(name in text for name in METHODS), table
    assert FILE in output_of(outside, "compare", results, INSTALLED, FILE)
    assert FILE in output_of(outside, "selection", results, "harbour")
    output_of(outside, "report", results)
    page = (results / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in METHODS)

    loaded, styles = load_results(results), method_styles(METHODS)
    drawn_in_colour = {styles[label].colour.lower() for label in METHODS}
    for name in ("final", "curves", "cost", "overlap", "selection"):
        with matplotlib.style.context(["default", RC]):
            figure = FIGURES[name](loaded)
            assert all(label in texts(figure) for label in METHODS), name
        if name not in {"overlap", "selection"}:
            assert drawn_in_colour <= colours(figure), name


def test_search_spaces_from_outside_are_searched(
    outside: CommandLine, content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(outside.folder / "site"))
    monkeypatch.chdir(outside.folder)
    registry.methods.cache_clear()
    try:
        listed = [INSTALLED, f"./{FILE}.py"]
        plan = trial_study(Study.model_validate(content | {"methods": listed}), 3, 0)
    finally:
        registry.methods.cache_clear()
    tried: dict[str, set[int]] = {}
    for entry in plan.methods:
        tried.setdefault(entry.method, set()).add(entry.hyperparameters["offered"])
    assert tried == {name: {1, 2, 4} for name in listed}
