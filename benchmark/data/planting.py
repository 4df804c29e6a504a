"""Text hidden in the generic corpus, to make a case whose answer is known."""

from __future__ import annotations

from pydantic import Field

from benchmark.core.frozen import Frozen
from benchmark.data.config import DataConfig
from benchmark.data.source import MixturePart, MixtureSource, SingleSource


class Planting(Frozen):
    """Text hidden in the generic corpus: ``share`` of the whole, as a domain called ``planted``.

    A controlled target plants text of its own distribution, so that what selection can find is
    known. The generic corpus must be a mixture whose parts all have ``megabytes``.
    """

    source: SingleSource
    """The text to hide."""
    share: float = Field(gt=0, lt=1)


PLANTED = "planted"


def plant(data: DataConfig, planting: Planting) -> DataConfig:
    """``data`` with the planted text as one more domain of its generic corpus.

    Raises:
        ValueError: the generic corpus is no mixture of known sizes without such a domain.
    """
    mixture = data.generic.mixture if isinstance(data.generic, MixtureSource) else {}
    sizes = [part.megabytes for part in mixture.values() if part.megabytes is not None]
    if not mixture or len(sizes) < len(mixture):
        raise ValueError(
            "planting takes a share of the generic corpus: make data.generic a mixture and give "
            "every part megabytes"
        )
    if PLANTED in mixture:
        raise ValueError(f"data.generic has a part called {PLANTED!r} already: rename it")
    megabytes = planting.share / (1 - planting.share) * sum(sizes)
    part = MixturePart(source=planting.source, megabytes=megabytes)
    return data.model_copy(update={"generic": MixtureSource(mixture={**mixture, PLANTED: part})})
