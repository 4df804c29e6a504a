"""Translation: the tokens of a sentence are predicted from its source and those before them."""

from benchmark.tasks.translation.task import Translation

TASK = Translation()
