"""The design of the study atlas: which source is met in which regimes, as study files.

    python results/atlas/measure.py         # fetch and prepare every source: sources.yaml
    python results/atlas/design.py write    # studies/*.yaml from sources.yaml, always the same

A study file holds what its targets share (corpus, noise, steps, downsampling), and its targets what
may differ (source, sample, planted share). So there is one file for each part, fit or test, and
each of the 27 combinations of steps, corpus and downsampling; whether half of the corpus is noise
goes with the combination. A source has three regimes, which together meet each level of those three
factors once, a sample from each third of the range in logarithms, and three of the four planted
shares: a Latin hypercube of its own. `run.py` runs the files of a part.

What belongs to which part is decided by a digest of the package's name, so that sources of one
package, which are kin, are never on both sides.
"""

from __future__ import annotations

import hashlib
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmark.data.catalogue import HELD_OUT_MEGABYTES

SEED = 2311
HERE = Path(__file__).resolve().parent
SOURCES = HERE / "sources.yaml"
STUDIES = HERE / "studies"
TUNED = "benchmark/study/embedded/chosen/development_tiny.yaml"

STEPS = (60, 180, 540)
CORPUS = (0.5, 2.0, 10.0)
DOWNSAMPLING = (4, 16, 64)
SHARES = (0.0, 0.01, 0.05, 0.2)
SAMPLE = (30, 3000)
WIDTH, BATCH, VALID, TEST = 64, 16, 250, 500
TEST_PART = 1 / 3
EVALUATIONS = 10

GENERIC = {
    "awsdocs": 0.2,
    "dictionary": 0.2,
    "licences": 0.15,
    "chat": 0.15,
    "wikileads": 0.1,
    "django_docs": 0.1,
    "friends": 0.1,
}
"""Shares of the generic corpus, those of the study diagnosis."""
NOISE_DOCUMENTS = 15000
"""Enough for half of the largest corpus."""

SMALL = {"network": {"kind": "bag_of_ngrams", "embedding": 32, "hidden": 32, "span": 2}}
METHODS: list[Any] = [
    "pretraining",
    "mixing",
    "target_only",
    "dsir",
    "classifier_filter",
    "moore_lewis",
    "color_filter",
    {"method": "classifier", "hyperparameters": SMALL},
    {"method": "dds", "hyperparameters": SMALL},
    {"method": "soba", "hyperparameters": SMALL},
]
"""As `development_tiny` has them, so that its chosen settings contradict none."""


OUTSIDE = {"cloud_commands": (1000, 0.0), "sphinx_messages": (300, 0.05), "speeches": (100, 0.0)}
"""Targets of no source of the atlas: rows of the sample, planted share."""


def digest(text: str) -> str:
    """What decides by a name alone."""
    return hashlib.blake2b(f"atlas {text}".encode(), digest_size=8).hexdigest()


def part_of(sources: dict[str, Any]) -> dict[str, str]:
    """``fit`` or ``test`` for each source: the third of the packages with the highest digests.

    Of each kind apart, so that controls and covered sources are on both sides.
    """
    parts = {}
    for kind in ("other", "covered", "control"):
        named = {n: s["package"] for n, s in sources.items() if s["kind"] == kind}
        packages = sorted({*named.values()}, key=digest)
        first = len(packages) - round(len(packages) * TEST_PART)
        if kind == "control":
            first = 1
        for name, package in named.items():
            parts[name] = "fit" if packages.index(package) < first else "test"
    return parts


def planted_megabytes(share: float, corpus: float) -> float:
    """Text that makes so much of a corpus of ``corpus`` other megabytes."""
    return share / (1 - share) * corpus


def room(source: dict[str, Any]) -> int:
    """Rows that a sample may have: as measured, or six tenths of what its size promises."""
    if "sample" in source:
        return int(source["sample"])
    held_out = source["megabytes"] - source.get("megabytes_train", 0.0)
    rows = min(held_out, HELD_OUT_MEGABYTES) * 1e6 / WIDTH
    return min(SAMPLE[1], int(0.6 * (rows - VALID - TEST)))


def regimes(name: str, number: int, source: dict[str, Any]) -> list[dict[str, Any]]:
    """The three regimes of a source; ``number`` rotates which planted share is left out."""
    rng = np.random.Generator(np.random.Philox(key=[SEED, int(digest(name), 16) >> 1]))
    corpus, downsampling, stratum = (rng.permutation(3) for _ in range(3))
    depth = rng.random(3)
    levels = _shares(rng, number, source, [CORPUS[c] for c in corpus])
    made = []
    for i in range(3):
        share = levels[i]
        fraction = (stratum[i] + depth[i]) / 3
        drawn = round(SAMPLE[0] * (SAMPLE[1] / SAMPLE[0]) ** fraction)
        most = room(source)
        made.append(
            {
                "name": f"{name}_{'abc'[i]}",
                "source": name,
                "cell": (i, int(corpus[i]), int(downsampling[i])),
                "sample": max(SAMPLE[0], min(drawn, most)),
                "share": share,
            }
        )
    return made


def _shares(
    rng: np.random.Generator, number: int, source: dict[str, Any], corpora: list[float]
) -> list[float]:
    """Planted shares of the three regimes.

    Three of the four levels in the random order that lowers the fewest: where the source has too
    little text, the next lower level is planted.
    """
    if source["kind"] != "other":
        return [0.0, 0.0, 0.0]
    chosen = [share for i, share in enumerate(SHARES) if i != number % 4]
    orders = [[chosen[i] for i in order] for order in itertools.permutations(range(3))]
    rng.shuffle(orders)

    def fitting(share: float, corpus: float) -> float:
        room = source["megabytes_train"]
        return max(s for s in SHARES if s <= share and planted_megabytes(s, corpus) <= room)

    fitted = [[fitting(s, c) for s, c in zip(o, corpora, strict=True)] for o in orders]
    lowered = [
        sum(a != b for a, b in zip(f, o, strict=True)) for f, o in zip(fitted, orders, strict=True)
    ]
    return fitted[lowered.index(min(lowered))]


def is_noisy(cell: tuple[int, int, int]) -> bool:
    """Whether half of the corpus is noise: in 13 of 27 combinations, 4 or 5 of each level's 9."""
    return sum(cell) % 2 == 1


def generic(corpus: float, noisy: bool) -> dict[str, Any]:
    """The mixture of so many megabytes."""
    text = corpus / 2 if noisy else corpus
    parts: dict[str, Any] = {
        name: {"source": {"embedded": name, "part": "train"}, "megabytes": round(text * share, 6)}
        for name, share in GENERIC.items()
    }
    if noisy:
        noise = {"noise": "letters", "documents": NOISE_DOCUMENTS}
        parts["noise"] = {"source": noise, "megabytes": corpus / 2}
    return {"mixture": parts}


def target(regime: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    """A target of a study; what is planted is the part of its corpus that it is not made of."""
    made: dict[str, Any] = {"source": source["source"]}
    made |= {"train": regime["sample"], "valid": VALID, "test": TEST}
    if regime["share"]:
        name = regime["source"]
        planted = {"source": {"embedded": name, "part": "train"}, "share": regime["share"]}
        made["planted"] = planted
    return made


def studies(sources: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The study files by name."""
    parts = part_of(sources)
    cells = [
        regime | {"part": parts[name]}
        for number, name in enumerate(sorted(sources, key=digest))
        for regime in regimes(name, number, sources[name])
    ]
    made = {}
    for part in ("fit", "test"):
        for place, cell in enumerate(itertools.product(range(3), range(3), range(3))):
            held = [c for c in cells if c["part"] == part and c["cell"] == cell]
            if held:
                name, noisy = f"{part}_{place + 1:02d}", is_noisy(cell)
                found = {c["name"]: target(c, sources[c["source"]]) for c in held}
                made[name] = _study(name, cell, noisy, found)
    return made


def outside() -> dict[str, Any]:
    """A study of targets that are in neither part, for recommendations made before it is run."""
    made = {}
    for name, (rows, share) in OUTSIDE.items():
        source = {"source": {"embedded": name, "part": "held_out"}}
        made[name] = target({"source": name, "sample": rows, "share": share}, source)
    return _study("outside", (1, 1, 1), False, made)


def _study(
    name: str, cell: tuple[int, int, int], noisy: bool, targets: dict[str, Any]
) -> dict[str, Any]:
    steps, corpus, downsampling = STEPS[cell[0]], CORPUS[cell[1]], DOWNSAMPLING[cell[2]]
    noise = "half of it noise" if noisy else "no noise"
    return {
        "study": f"atlas_{name}",
        "description": f"{steps} steps, {corpus:g} MB, {noise}, 1 row of {downsampling}",
        "tuned": TUNED,
        "downsampling": downsampling,
        "data": {
            "width": WIDTH,
            "whitespace": "collapse",
            "generic_valid": 250,
            "generic": generic(corpus, noisy),
        },
        "models": {"tiny": {"transformer": {"layers": 1, "width": 48, "heads": 4, "hidden": 192}}},
        "targets": targets,
        "methods": METHODS,
        "seeds": [0],
        "training": {
            "steps": steps,
            "batch": BATCH,
            "big_batch": BATCH * downsampling,
            "rate": 0.01,
            "warmup": steps // 10,
            "evaluate_every": steps // EVALUATIONS,
        },
        "fine_tuning": {
            "steps": 120,
            "rate": 0.002,
            "warmup": 10,
            "evaluate_every": 20,
            "patience": 2,
        },
    }


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def as_yaml(content: dict[str, Any]) -> str:
    """YAML without anchors, keys in order."""
    return yaml.dump(content, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)


def read_sources() -> dict[str, Any]:
    """What `measure` wrote."""
    found: dict[str, Any] = yaml.safe_load(SOURCES.read_text(encoding="utf-8"))["sources"]
    return found


def write() -> None:
    """Write every study file; files of other names are removed."""
    STUDIES.mkdir(exist_ok=True)
    made = studies(read_sources())
    for file in STUDIES.glob("*.yaml"):
        if file.stem not in made:
            file.unlink()
    for name, study in made.items():
        (STUDIES / f"{name}.yaml").write_text(as_yaml(study), encoding="utf-8")
    (HERE / "outside.yaml").write_text(as_yaml(outside()), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["write"]:
        write()
    else:
        sys.exit(f"usage: {sys.argv[0]} write")
