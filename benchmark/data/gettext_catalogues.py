"""What a gettext catalogue translates; polib reads the format."""

from __future__ import annotations

from collections.abc import Iterator

import polib

# A flag (fuzzy) or an obsolete entry; other comments are remarks.
_MEANS = ("#,", "#~")


def translated(text: str) -> Iterator[tuple[str, list[str]]]:
    """Source and translations of each entry, of plurals one a form.

    Entries that are fuzzy, obsolete or not translated are left out, and so is the header. Remarks
    are dropped before the text is parsed: published catalogues write them as they like.

    Raises:
        OSError: the text is not that of a catalogue.
    """
    lines = (line for line in text.split("\n") if not line.startswith("#") or line[:2] in _MEANS)
    for entry in polib.pofile("\n".join(lines)):
        if entry.obsolete or entry.fuzzy:
            continue
        plurals = [entry.msgstr_plural[form] for form in sorted(entry.msgstr_plural)]
        if any(translations := plurals or [entry.msgstr]):
            yield entry.msgid, translations
