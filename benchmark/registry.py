"""Methods by name: the files of ``baselines`` and the entry points of installed packages."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from pydantic import ValidationError

from benchmark.errors import UserError, unknown
from benchmark.study import Study, explain

if TYPE_CHECKING:
    from baselines.base import Baseline

ENTRY_POINTS = "adaptbench.baselines"


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
    """The method called ``name``.

    Raises:
        UserError: there is none; lists those that exist.
    """
    if name not in methods():
        raise unknown("method", name, methods(), at=at)
    return methods()[name]


def check_methods(study: Study, file: object = None) -> None:
    """Refuse a study that names an unknown method or a bad hyper-parameter."""
    for number, entry in enumerate(study.methods):
        at = f"{file}: methods.{number}: " if file else f"methods.{number}: "
        settings = find_method(entry.method, at).Hyperparameters
        try:
            settings.model_validate(entry.hyperparameters)
        except ValidationError as error:
            problem = explain(error, settings)
            raise UserError(f"{at}{entry.method}: hyperparameters.{problem}") from error


def resolve(study: Study) -> Study:
    """The study with every hyper-parameter written out, so that runs do not depend on defaults."""
    entries = []
    for entry in study.methods:
        settings = find_method(entry.method).Hyperparameters
        values = settings.model_validate(entry.hyperparameters).model_dump(mode="json")
        entries.append(entry.model_copy(update={"hyperparameters": values}))
    return study.model_copy(update={"methods": tuple(entries)})


def _own_methods() -> list[type[Baseline]]:
    package = importlib.import_module("baselines")
    modules = pkgutil.walk_packages(package.__path__, "baselines.")
    return [m for found in modules for m in _methods_in(found.name)]


def _methods_in(module_name: str) -> list[type[Baseline]]:
    base: type[Baseline] = importlib.import_module("baselines.base").Baseline
    module = importlib.import_module(module_name)
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, base)
        and not inspect.isabstract(value)
        and value.__module__ == module_name
    ]


def _installed_methods() -> list[type[Baseline]]:
    base: type[Baseline] = importlib.import_module("baselines.base").Baseline
    found: list[type[Baseline]] = []
    for point in entry_points(group=ENTRY_POINTS):
        method = point.load()
        if not (inspect.isclass(method) and issubclass(method, base)):
            raise UserError(f"entry point {point.name!r} ({point.value}) is not a Baseline class")
        found.append(method)
    return found
