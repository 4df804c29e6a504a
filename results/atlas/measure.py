"""Fetch and prepare every source of the atlas once, and note what it holds: `sources.yaml`.

    python results/atlas/measure.py

A target is always the held-out slice of a corpus, so that it is the same with and without planted
text, which comes from the rest: `documents`, `bytes` and `rows` are those of the slice, `megabytes`
those of the whole corpus, `megabytes_train` those of the rest. What is noted decides the design
(`design.py`): how many rows a sample may have, beside those of valid and test and without
near-duplicates of them, and how much text is there to be planted.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import design

from benchmark.core.errors import UserError
from benchmark.data.catalogue import load_catalogue
from benchmark.data.config import DataConfig
from benchmark.data.dedup import RowSet
from benchmark.data.rows import RowStore, build_rows
from benchmark.data.source import parse_source
from benchmark.data.splits import TRAIN, split_target
from benchmark.study.environment import cache_folder

COVERED = ("awsdocs", "dictionary", "licences", "chat", "wikileads", "friends")
OTHERS = (
    *("bbcnews", "shakespeare", "medical_hpo", "security_cwe", "movies", "sqla_changelog"),
    *("licence_notices", "wikiarticles", "celery_docs", "networkx_strings", "sympy_docs"),
    *("sympy_tests", "cython_docs", "cython_code", "fortios", "googleapis_compute"),
    *("oracle_cloud", "cloudformation", "security_checks", "registries", "kubernetes_strings"),
    *("icd10", "citation_styles", "reporters", "french_tax", "pronunciations", "chinese_words"),
    *("chinese_glosses", "korean_words", "phone_places", "fake_names", "emoji_names"),
    *("folk_tunes", "renaissance_scores", "protein_structures", "scala_code", "lxml_code"),
    *("hadith", "hadith_arabic", "tickets_languages", "content_languages", "data_portal"),
    *("editor_languages", "beginners_editor", "small_talk"),
)
MEASURED = ("documents", "bytes", "rows", "sample")
CONTROLS = {"control_a": 2.8, "control_b": 1.4}
"""Megabytes of held-out text in the proportions of the generic corpus."""
DATA = DataConfig.model_validate(
    {"width": 64, "whitespace": "collapse", "near_duplicates": "remove", "generic_valid": 250}
)


def largest_sample(store: RowStore) -> int:
    """Rows that a sample may have beside valid and test, without what is near to these; 3,000.

    Raises:
        UserError: there are too few for valid and test.
    """
    asked, near = design.SAMPLE[1], RowSet()
    sizes = {TRAIN: asked, "valid": design.VALID, "test": design.TEST}
    try:
        split_target(store, sizes, near, without_near=True)
    except UserError as error:
        short = re.search(rf"target\.{TRAIN}: {asked} rows asked, (\d+) available", str(error))
        if short is None:
            raise
        return int(short[1])
    return asked


def measured(source: Any, cache: Path) -> dict[str, Any]:
    """Documents, bytes and rows of a source, and the largest sample of it."""
    store = build_rows(parse_source(source), DATA, cache)
    return {
        "documents": int(store.documents[-1]) + 1,
        "bytes": int((store.tokens[:] > 0).sum()),
        "rows": len(store),
        "sample": largest_sample(store),
    }


def entry(name: str, kind: str) -> dict[str, Any]:
    """What the catalogue says of a corpus."""
    catalogue = load_catalogue()
    corpus = catalogue.corpora[name]
    package = catalogue.packages[corpus.package]
    made: dict[str, Any] = {
        "kind": kind,
        "package": corpus.package,
        "version": package.version,
        "sha256": package.sha256,
        "licence": corpus.licence,
        "description": corpus.description,
        "megabytes": corpus.megabytes,
        "source": {"embedded": name, "part": "held_out"},
    }
    if kind == "other":
        made["megabytes_train"] = round(corpus.megabytes * (1 - corpus.held_out_share), 3)
    return made


def control(name: str, megabytes: float) -> dict[str, Any]:
    """Held-out text of the generic corpus as a target."""
    parts = {
        part: {
            "source": {"embedded": part, "part": "held_out"},
            "megabytes": round(share * megabytes, 6),
        }
        for part, share in design.GENERIC.items()
    }
    return {
        "kind": "control",
        "package": name,
        "licence": "those of the generic corpora",
        "description": "the generic mixture itself, of its held-out slices",
        "megabytes": megabytes,
        "source": {"mixture": parts},
    }


def main() -> None:
    """Measure those that are not, the smallest first; the file is written after each."""
    cache = cache_folder(None)
    known = design.read_sources() if design.SOURCES.exists() else {}
    made = {name: entry(name, "covered") for name in COVERED}
    made |= {name: entry(name, "other") for name in OTHERS}
    made |= {name: control(name, megabytes) for name, megabytes in CONTROLS.items()}
    for name, source in made.items():
        if all(known.get(name, {}).get(key) == value for key, value in source.items()):
            made[name] = known[name]
    problems = []
    for name in sorted(made, key=lambda name: made[name]["megabytes"]):
        if "sample" not in made[name]:
            try:
                made[name] |= measured(made[name]["source"], cache)
            except UserError as error:
                problems.append(f"{name}: {error}")
                continue
            print(name, *(made[name][key] for key in MEASURED), flush=True)
            design.SOURCES.write_text(design.as_yaml({"sources": made}), encoding="utf-8")
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
