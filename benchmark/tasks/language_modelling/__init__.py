"""Language modelling: every token of a row is predicted from those before it."""

from benchmark.tasks.language_modelling.task import LanguageModelling

TASK = LanguageModelling()
