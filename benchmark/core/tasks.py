"""Tasks by name: the folders of ``benchmark.tasks``, looked up when somebody asks.

The layers below the tasks know what differs between them by interfaces of their own
(`benchmark.data.task_rows`), those above by `benchmark.tasks.TaskKind`.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from benchmark.core.errors import unknown

LANGUAGE_MODELLING = "language_modelling"
_PACKAGE = "benchmark.tasks"


@cache
def task_names() -> tuple[str, ...]:
    """The tasks that there are."""
    package = importlib.import_module(_PACKAGE)
    return tuple(found.name for found in pkgutil.iter_modules(package.__path__) if found.ispkg)


@cache
def find_task(name: str) -> Any:
    """The ``TASK`` of the folder of that name: a `benchmark.tasks.TaskKind`.

    Raises:
        UserError: there is none; lists those that exist.
    """
    if name not in task_names():
        raise unknown("task", name, task_names())
    return importlib.import_module(f"{_PACKAGE}.{name}").TASK
