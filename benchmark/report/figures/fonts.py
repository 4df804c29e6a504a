"""Names of any script in figures: a font that has them, or their code numbers, said aloud."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import matplotlib
from matplotlib.artist import Artist
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text

FAMILY = "DejaVu Sans"
NAMED = 8
# Fonts that draw a box or a colour bitmap for a character that they claim to have.
UNUSABLE = ("Last Resort", "LastResort", "Emoji", "Adobe Blank")
_replaced: set[str] = set()


def drawable(text: str) -> str:
    """The text with the code numbers of those characters that no installed font has."""
    lost = {c for c in _unusual(text) if not _has(_file(FAMILY), c)} - _found(_unusual(text)).keys()
    _replaced.update(lost)
    parts = ((gone, "".join(same)) for gone, same in groupby(text, lost.__contains__))
    return "".join(_codes(part) if gone else part for gone, part in parts)


def dress(artist: Artist) -> bool:
    """Give every text of a figure, or of a part of it, fonts for all of its characters.

    Gives whether a text has changed, so that what was laid out has to be laid out again.
    """
    changed = False
    for text in artist.findobj(Text):
        assert isinstance(text, Text)
        words = text.get_text()
        own = findfont(text.get_fontproperties()) if _unusual(words) else ""
        lacking = frozenset(c for c in _unusual(words) if not _has(own, c))
        if lacking:
            families = dict.fromkeys(_found(lacking).values())
            text.set_text(drawable(words))
            text.set_fontfamily(list(dict.fromkeys([*text.get_fontfamily(), *families])))
            changed = True
    return changed


def take_replaced() -> set[str]:
    """The characters that were replaced since this was last asked."""
    taken = set(_replaced)
    _replaced.clear()
    return taken


def warn_of_replaced(characters: Iterable[str]) -> None:
    """Say once which characters figures show by their code numbers, and what would show them."""
    lost = sorted(characters)
    if lost:
        shown = [f"{c} (U+{ord(c):04X})" if c.isprintable() else f"U+{ord(c):04X}" for c in lost]
        more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
        warnings.warn(
            f"figures: no installed font has {', '.join(shown[:NAMED])}{more}: shown by code "
            "number; install a font that has them (Noto Sans CJK for Chinese, Japanese and "
            "Korean), then draw again: adaptbench plot",
            stacklevel=2,
        )


def _unusual(text: str) -> frozenset[str]:
    """The characters that a font may lack; line breaks are not drawn."""
    return frozenset(c for c in text if not (" " <= c <= "~") and c != "\n")


def _codes(characters: str) -> str:
    return f"[U+{' '.join(f'{ord(c):04X}' for c in characters)}]"


@lru_cache
def _found(characters: frozenset[str]) -> dict[str, str]:
    """For each of these characters that an installed font other than our own has, its family."""
    found: dict[str, str] = {}
    lacking = {c for c in characters if not _has(_file(FAMILY), c)}
    for family, file in _others() if lacking else ():
        here = {c for c in lacking if _has(file, c)}
        found |= dict.fromkeys(here, family)
        lacking -= here
        if not lacking:
            break
    return found


def _others() -> list[tuple[str, str]]:
    """Families and files to look into; those of plain letters that most systems have, first."""
    plain = [font for font in fontManager.ttflist if (font.style, font.weight) == ("normal", 400)]
    bundled = Path(matplotlib.get_data_path())
    # The fonts that come along for formulas keep other signs at the places of letters.
    usable = {
        font.name: font.fname
        for font in plain
        if not any(word in font.name for word in UNUSABLE)
        and not (Path(font.fname).is_relative_to(bundled) and not font.name.startswith("DejaVu"))
    }
    order = sorted(usable, key=lambda name: ("Sans" not in name, "Noto" not in name, name))
    # What the family stands for in a figure is the file that matplotlib finds for its name.
    return [(name, _file(name)) for name in order]


@lru_cache
def _file(family: str) -> str:
    return str(findfont(FontProperties(family=family)))


@lru_cache(maxsize=65536)
def _has(file: str, character: str) -> bool:
    try:
        return bool(get_font(file).get_char_index(ord(character)))
    except (OSError, RuntimeError):
        return False
