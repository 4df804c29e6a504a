"""What differs between tasks, a folder each: rows, model, score, what methods may read of a row.

Imports the layers below (`core`, `data`, `models`). A folder's ``TASK`` is found by its name
(`benchmark.core.tasks`), which is also how the layers below get at its rows; nobody else knows
which tasks there are.
"""

from benchmark.tasks.kind import PIXELS, TEXT, TOKENS, TaskKind, task_kind

__all__ = ["PIXELS", "TEXT", "TOKENS", "TaskKind", "task_kind"]
