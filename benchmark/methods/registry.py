"""Methods by name: the files of ``baselines``, the entry points of installed packages, any file."""

from __future__ import annotations

import importlib
import inspect
import itertools
import pkgutil
import sys
import warnings
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from benchmark.core.config_file import explain, require_numbers
from benchmark.core.errors import UserError, unknown
from benchmark.methods.source import DOOR, ENTRY_POINTS, PACKAGE, private_imports
from benchmark.study.chosen import Chosen, ChosenValues
from benchmark.study.contents import with_contents
from benchmark.study.environment import cache_folder
from benchmark.study.loading import load_chosen
from benchmark.study.method_files import code_digest, file_of, load_module, names_file
from benchmark.study.study import MethodEntry, Study
from benchmark.tasks import task_kind

if TYPE_CHECKING:
    from benchmark.api import Baseline, Hyperparameters


class PrivateImportWarning(UserWarning):
    """A method imports a module of the project that is not the door."""


@cache
def methods() -> dict[str, type[Baseline]]:
    """Every registered method by name (imports them, and so torch)."""
    found: dict[str, type[Baseline]] = {}
    for method in (*_own_methods(), *_installed_methods()):
        if method.name in found:
            other = found[method.name]
            raise UserError(
                f"two methods are called {method.name!r}: {method.__module__} and "
                f"{other.__module__}; rename one or uninstall its package"
            )
        found[method.name] = method
    return dict(sorted(found.items()))


def find_method(name: str, at: str = "") -> type[Baseline]:
    """The method called ``name``, or the one in the file ``name`` if that ends in ``.py``.

    Raises:
        UserError: there is none; lists those that exist.
    """
    if names_file(name):
        return _method_in_file(Path(name), at)
    if name not in methods():
        raise unknown("method", name, methods(), at=at)
    return methods()[name]


def method_of(entry: MethodEntry, at: str = "") -> type[Baseline]:
    """The method of an entry, refused if its file is not the one that the entry was made with."""
    if not names_file(entry.method):
        return find_method(entry.method, at)
    file = file_of(entry.method, entry.code)
    if entry.code and entry.code != code_digest(file):
        raise UserError(
            f"{at}{entry.method} has changed since these runs were planned (code "
            f"{entry.code[:8]}): start the command again"
        )
    return _method_in_file(file, at)


def planned_method(entry: MethodEntry) -> type[Baseline]:
    """The method of a planned run, refused if its results have moved since the run was planned."""
    method = method_of(entry)
    if method.revision != entry.revision:
        raise UserError(
            f"{entry.method} is revision {method.revision} here, and this run was planned with "
            f"revision {entry.revision}: start the command again"
        )
    return method


def check_methods(study: Study, file: object = None) -> None:
    """Refuse a study that names an unknown method or a bad hyper-parameter."""
    for number, entry in enumerate(study.methods):
        at = f"{file}: methods.{number}: " if file else f"methods.{number}: "
        settings = method_of(entry, at).Hyperparameters
        try:
            values = settings.model_validate(entry.hyperparameters)
        except ValidationError as error:
            problem = explain(error, settings, content=entry.hyperparameters)
            raise UserError(f"{at}{entry.method}: hyperparameters.{problem}") from error
        _require_readable(values, study, f"{at}{entry.method}")
        require_numbers(
            {"hyperparameters": entry.hyperparameters},
            {"hyperparameters": values},
            f"{at}{entry.method}",
        )


def _require_readable(values: Hyperparameters, study: Study, at: str) -> None:
    """Refuse a method that reads of rows what the study's task has none of."""
    kind, wanted = task_kind(study.data), values.reads()
    if wanted and not wanted & kind.reads:
        raise UserError(
            f"{at}: reads {' or '.join(sorted(wanted))}, and rows of task {kind.name} have only "
            f"{', '.join(sorted(kind.reads))}: leave it out, or give it other settings"
        )


def resolve(study: Study, cache: Path | None = None) -> Study:
    """The study with every hyper-parameter written out, so that runs do not depend on defaults.

    Methods in files get the digest of their code, local checkpoints and tokenisers that of their
    files (remembered in ``cache``), so that runs do not outlive them. Values chosen by tuning are
    read in, those of the study's own models, targets and methods.

    Raises:
        UserError: a chosen value is missing or invalid, or contradicts what the study says; a
            file cannot be read.
    """
    entries = []
    for entry in study.methods:
        method = method_of(entry)
        values = _seen(entry.hyperparameters, method.Hyperparameters, study)
        code = code_digest(Path(entry.method)) if names_file(entry.method) else ""
        complete = {
            "hyperparameters": values.model_dump(mode="json"),
            "code": code,
            "revision": method.revision,
        }
        entries.append(entry.model_copy(update=complete))
    known = with_contents(study, cache_folder(cache))
    resolved = known.model_copy(update={"methods": tuple(entries)})
    if study.tuned is None:
        return resolved
    return resolved.model_copy(update={"tuned": _chosen_for(study, study.tuned)})


def _chosen_for(study: Study, tuned: Path | Chosen) -> Chosen:
    """The chosen values that a study needs, every hyper-parameter written out."""
    chosen = tuned if isinstance(tuned, Chosen) else load_chosen(tuned)
    at = "tuned: " if isinstance(tuned, Chosen) else f"{tuned}: "
    rows = []
    for model, target in itertools.product(study.models, study.targets):
        for entry in study.methods:
            row = _completed(chosen.find(model, target, entry.label, at), entry, at)
            # In a resolved study, the entry has the defaults of what was tuned.
            if isinstance(tuned, Path):
                _require_agreement(row, entry, at)
            values = _seen(row.hyperparameters, method_of(entry).Hyperparameters, study)
            row = row.model_copy(update={"hyperparameters": values.model_dump(mode="json")})
            rows.append(row.model_copy(update={"target": target}))
    return chosen.model_copy(update={"chosen": tuple(rows)})


def _seen(values: dict[str, Any], settings: type[Hyperparameters], study: Study) -> Hyperparameters:
    """The settings with the study's downsampling, if it has one and they have a place for it."""
    places: dict[str, float] = {}
    if (seen := study.downsampling) is not None:
        places = {"downsampling": seen, "keep": 1 / seen}
    asked = {name: value for name, value in places.items() if name in settings.model_fields}
    return settings.model_validate(values | asked)


def _completed(row: ChosenValues, entry: MethodEntry, at: str) -> ChosenValues:
    settings = method_of(entry).Hyperparameters
    try:
        values = settings.model_validate(row.hyperparameters).model_dump(mode="json")
    except ValidationError as error:
        problem = explain(error, settings)
        raise UserError(f"{at}chosen: {row.where}: hyperparameters.{problem}") from error
    return row.model_copy(update={"hyperparameters": values})


def _require_agreement(row: ChosenValues, entry: MethodEntry, at: str) -> None:
    """Refuse to overrule what the study's entry says."""
    settings = method_of(entry).Hyperparameters
    written = settings.model_validate(entry.hyperparameters)
    tuned = settings.model_validate(row.hyperparameters)
    for name in entry.hyperparameters:
        chosen, given = (getattr(values, name) for values in (tuned, written))
        if chosen != given:
            raise UserError(
                f"{at}chosen: {row.where}: hyperparameters.{name}: {chosen!r} contradicts the "
                f"study, which gives {given!r}: remove it there, or tune again"
            )


def _own_methods() -> list[type[Baseline]]:
    package = importlib.import_module(PACKAGE)
    modules = pkgutil.walk_packages(package.__path__, f"{PACKAGE}.")
    return [m for found in modules for m in _methods_in(importlib.import_module(found.name))]


def _method_in_file(file: Path, at: str) -> type[Baseline]:
    module = load_module(file)
    _warn_of_private_imports(module)
    found = _methods_in(module)
    if len(found) != 1:
        names = ", ".join(method.__name__ for method in found) or "none"
        raise UserError(
            f"{at}{file}: a method's file holds exactly one complete subclass of Baseline (has a "
            f"name, a summary and batch); found: {names}"
        )
    for key in ("name", "summary"):
        if not isinstance(getattr(found[0], key, None), str):
            raise UserError(f'{at}{file}: {found[0].__name__} has no {key}: give it {key} = "..."')
    return found[0]


def _methods_in(module: ModuleType) -> list[type[Baseline]]:
    base: type[Baseline] = importlib.import_module(DOOR).Baseline
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, base)
        and not inspect.isabstract(value)
        and value.__module__ == module.__name__
    ]


def _installed_methods() -> list[type[Baseline]]:
    base: type[Baseline] = importlib.import_module(DOOR).Baseline
    found: list[type[Baseline]] = []
    for point in entry_points(group=ENTRY_POINTS):
        method = point.load()
        if not (inspect.isclass(method) and issubclass(method, base)):
            raise UserError(f"entry point {point.name!r} ({point.value}) is not a Baseline class")
        _warn_of_private_imports(sys.modules[method.__module__])
        found.append(method)
    return found


def _warn_of_private_imports(module: ModuleType) -> None:
    """Say so where a method from outside builds on what may change without notice."""
    private = private_imports(inspect.getsource(module))
    if private:
        warnings.warn(
            f"{module.__file__}: imports {', '.join(private)}, which may change without notice: "
            f"import what a method needs from {DOOR}",
            PrivateImportWarning,
            stacklevel=2,
        )
