"""Write docs/reference from the code: its commands, files, figures and methods as they are.

``--check`` writes nothing and fails if a page is out of date.
"""

from __future__ import annotations

import inspect
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from key_tables import Models, code, docstrings_below, either, prose, table, without_meaning
from meanings import MEANINGS
from pydantic import BaseModel
from typer.main import get_command

from baselines.pretraining import Pretraining
from benchmark.api.baseline import Baseline, Choice
from benchmark.cli.app import COMMANDS, app, load_command
from benchmark.contract.problem import Problem
from benchmark.contract.trial import Trial
from benchmark.data.report import DataReport, NearDuplicates
from benchmark.diagnostic.cheap import CHEAP
from benchmark.diagnostic.recommend.features import MEANINGS as MEASURED
from benchmark.diagnostic.recommend.records import RecommendationRecord
from benchmark.diagnostic.recommend.rule import AdviceRule
from benchmark.diagnostic.records import DiagnosisRecord
from benchmark.diagnostic.rule import Rule
from benchmark.diagnostic.summary import MEASURES
from benchmark.methods.registry import methods
from benchmark.study import metrics
from benchmark.study.records import RunRecord, StudyIndex
from benchmark.study.step_times import StudyTimes
from benchmark.study.study import Study
from benchmark.tasks.images.options import ImageOptions, NetworkOptions
from slurm.profile import Profile

FOLDER = Path(__file__).parent / "reference"
OWN = "baselines."
HEAD = "<!-- Written by docs/generate_reference.py: change the code and run it, not this page. -->"


def page(title: str, *blocks: str) -> str:
    """The text of a page."""
    return "\n\n".join([HEAD, f"# {title}", *blocks]) + "\n"


def commands() -> str:
    """The page of all commands, in the order of ``adaptbench --help``."""
    paths = [path for some in COMMANDS.values() for path in some]
    links = ", ".join(f"[{path}](#{path.replace(' ', '-')})" for path in paths)
    own = _parameters(get_command(app))
    return page("Commands", links, own, *(_command(path, load_command(path)) for path in paths))


def _command(path: str, command: Any) -> str:
    words = [f"adaptbench {path}"]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            name = parameter.name.upper()
            words.append(name if parameter.required else f"[{name} ...]")
        elif parameter.required:
            words.append(f"{parameter.opts[0]} {parameter.name.upper()}")
    usage = f"```\n{' '.join([*words, '[OPTIONS]'])}\n```"
    example = f"Example: `{command.epilog.removeprefix('Example: ')}`"
    blocks = [f"## {path}", prose(command.help), usage, _parameters(command), example]
    return "\n\n".join(block for block in blocks if block)


def _parameters(command: Any) -> str:
    """Arguments and options of a command, if it has any."""
    context = command.make_context("", [], resilient_parsing=True)
    rows = []
    for parameter in command.params:
        argument = parameter.param_type_name == "argument"
        names = [parameter.name.upper()] if argument else parameter.opts + parameter.secondary_opts
        flag = getattr(parameter, "is_flag", False)
        valid = "" if flag else _valid(parameter, context)
        shown = ", ".join(f"`{name}`" for name in names)
        rows.append([shown, valid, _default(parameter), parameter.help])
    return table(["argument or option", "valid", "default", "meaning"], *rows) if rows else ""


def _valid(parameter: Any, context: Any) -> str:
    kind, *choices = parameter.display_type(context).strip("<>").split("|")
    if choices:
        return either(f"`{choice}`" for choice in (kind, *choices))
    kind = kind.removesuffix(" range")
    words = {
        "str": "text",
        "int": "integer",
        "float": "number",
        "list[str]": "text, repeatable",
        "list[Path]": "path, repeatable",
    }
    return f"{words.get(kind, kind)}{_bounds(parameter)}"


def _bounds(parameter: Any) -> str:
    limits = (("at least", parameter.min), ("at most", parameter.max))
    return ",".join(f" {words} {limit}" for words, limit in limits if limit is not None)


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    if parameter.secondary_opts:
        return f"`{(parameter.opts if parameter.default else parameter.secondary_opts)[0]}`"
    return (
        "" if parameter.default is None or parameter.default is False else f"`{parameter.default}`"
    )


def study(models: Models) -> str:
    """The page of the files that a user writes."""
    return page(
        "Study files and profiles",
        "A study is a YAML file with the keys of [study](#study); `adaptbench run FILE` runs it. "
        "A method may be given by its name alone, and a source by the name of an embedded corpus "
        "or by a path. Where a key is unknown or a value invalid, the command says which values "
        "are valid. A [profile](#profile) says how `adaptbench submit` sends runs to a cluster. "
        "`data.options` of task `images` are [image options](#image-options), `network` of a model "
        "of it [network options](#network-options).",
        *models.sections("study.md", [Study, Profile, ImageOptions, NetworkOptions]),
    )


def records(models: Models) -> str:
    """The page of the files that runs and diagnoses leave."""
    return page(
        "Records",
        "In the folder of a study's results, by default `results/STUDY`: `study.json`, a "
        "[study index](#study-index); for each run `runs/RUN/record.json`, a "
        "[run record](#run-record), and `runs/RUN/metrics.jsonl`, its [measurements](metrics.md); "
        "for each model, target and seed diagnosed `diagnosis/MODEL-TARGET-sSEED.json`, a "
        "[diagnosis record](#diagnosis-record), and for each recommendation "
        "`recommendation/MODEL-TARGET-tierN.json`, a [recommendation record]"
        "(#recommendation-record). `adaptbench time` writes `step_times.json`, "
        "[study times](#study-times), `adaptbench recommend fit` an [advice rule](#advice-rule), "
        "and `adaptbench rule fit` a [rule](#rule).",
        *models.sections(
            "records.md",
            [
                StudyIndex,
                RunRecord,
                DataReport,
                NearDuplicates,
                StudyTimes,
                DiagnosisRecord,
                Rule,
                RecommendationRecord,
                AdviceRule,
            ],
        ),
        "## Measures\n\nIn `measures` of a [checkpoint record](#checkpoint-record).",
        _meanings("measure", MEASURES),
        "## Predictors without gradients\n\nIn `cheap` of a [diagnosis record](#diagnosis-record).",
        _meanings("predictor", CHEAP),
        "## Measures of a recommendation\n\nIn `values` of [measured](#measured).",
        _meanings("measure", MEASURED),
    )


def _meanings(what: str, meanings: dict[str, str]) -> str:
    rows = ([f"`{name}`", _sentence(text)] for name, text in meanings.items())
    return table([what, "meaning"], *rows)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].removesuffix('.')}."


def own_methods() -> dict[str, type[Baseline]]:
    """The methods that come along, whatever else is installed."""
    return {name: m for name, m in methods().items() if m.__module__.startswith(OWN)}


def measurements() -> str:
    """The page of the measurements, by what a short run and each method's first steps report."""
    reported: dict[str, list[str]] = {}
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        problem = Problem(Path(folder))
        run = Trial(Pretraining, problem).trainer("reference", steps=2)
        run.run()
        for name, cls in own_methods().items():
            method = Trial(cls, problem).trainer("reference", steps=2).method
            method.prepare()
            found: dict[str, float] = {}
            for step in range(2):
                method.batch(step)
                found |= method.observe(step)
            for key in dict.fromkeys(map(_name, found)):
                reported.setdefault(key, []).append(name)
    line, figures = [_name(key) for key in run.progress.metrics[0]], sorted(reported)
    meanings = _described({*line, *figures})
    rows = [[f"`{key}`", ", ".join(reported[key]), meanings[key]] for key in figures]
    return page(
        "Measurements",
        "Each line of a run's `metrics.jsonl` is a JSON object: the measurements at one evaluated "
        "step. In the names of some, NAME is that of a domain or cluster.",
        "## Every run",
        _meanings("key", {key: meanings[key] for key in line}),
        "## Figures that methods report",
        table(["key", "methods", "meaning"], *rows),
    )


def _described(keys: set[str]) -> dict[str, str]:
    """The meaning of each key of a line of measurements; fails unless each has one."""
    named = docstrings_below(inspect.getsource(metrics)).items()
    constants = {re.sub("/$", "/NAME", getattr(metrics, name)): prose(text) for name, text in named}
    meanings = constants | {key: _sentence(text) for key, text in MEANINGS.items()}
    if wrong := keys ^ {*meanings}:
        sys.exit(f"docs/generate_reference.py: MEANINGS: described or reported, not both: {wrong}")
    return meanings


def _name(key: str) -> str:
    """A key without the domain that it is about."""
    start, _, domain = key.partition("/")
    return f"{start}/NAME" if start.startswith(("domain_", "proxy_")) and domain else key


def method_page(models: Models) -> str:
    """The page of all methods and their hyper-parameters."""
    found = own_methods()
    links = ", ".join(f"[{name}](#{name})" for name in found)
    return page("Methods", links, *(_method(models, method) for method in found.values()))


def _method(models: Models, method: type[Baseline]) -> str:
    rows = list(_hyperparameters(models, method.Hyperparameters, method.Hyperparameters, ""))
    head = ["hyper-parameter", "valid", "default", "tuned over", "meaning"]
    source = f"Source, differences and costs: [{method.name}](../methods/{method.name}.md)."
    keys = table(head, *rows) if rows else "It has no hyper-parameters."
    return "\n\n".join([f"## {method.name}", _sentence(method.summary), source, keys])


def _hyperparameters(
    models: Models, top: Any, settings: type[BaseModel], prefix: str
) -> Iterator[list[str]]:
    """A row for each, those of nested settings by dotted names."""
    for row, (name, field) in zip(
        models.keys(settings, prefix), settings.model_fields.items(), strict=True
    ):
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _hyperparameters(models, top, field.annotation, f"{prefix}{name}.")
        else:
            space = None if prefix else top.search_space().get(name)
            yield [*row[:3], _space(space), row[3]]


def _space(space: Any) -> str:
    if space is None:
        return ""
    if isinstance(space, Choice):
        return ", ".join(code(value) for value in space.values)
    return f"{space.low:g} to {space.high:g}, uniformly in the logarithm"


def main() -> None:
    """Write the pages, or name those that are out of date, or the keys that nothing describes."""
    models = Models()
    pages = {
        "commands.md": commands(),
        "study.md": study(models),
        "records.md": records(models),
        "metrics.md": measurements(),
        "methods.md": method_page(models),
    }
    undescribed = [
        f"{name}: {key}" for name, text in pages.items() for key in without_meaning(text)
    ]
    if undescribed:
        sys.exit(
            "docs/generate_reference.py: keys without a meaning (say it in a string below the "
            "field): " + "; ".join(undescribed)
        )
    files = {FOLDER / name: text for name, text in pages.items()}
    stale = [f for f, text in files.items() if not f.exists() or f.read_text("utf-8") != text]
    if "--check" not in sys.argv[1:]:
        FOLDER.mkdir(exist_ok=True)
        for file in stale:
            file.write_text(files[file], encoding="utf-8")
    elif stale:
        names = ", ".join(f"docs/reference/{file.name}" for file in stale)
        sys.exit(f"out of date: {names}; run docs/generate_reference.py")


if __name__ == "__main__":
    main()
