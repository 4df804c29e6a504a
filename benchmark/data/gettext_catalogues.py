"""What a gettext catalogue translates; polib reads the format."""

from __future__ import annotations

from collections.abc import Iterator

import polib


def translated(text: str) -> Iterator[tuple[str, list[str]]]:
    """Source and translations of each entry, of plurals one a form.

    Entries that are fuzzy, obsolete or not translated are left out, and so is the header.

    Raises:
        OSError: the text is not that of a catalogue.
    """
    for entry in polib.pofile(text):
        if entry.obsolete or entry.fuzzy:
            continue
        plurals = [entry.msgstr_plural[form] for form in sorted(entry.msgstr_plural)]
        if any(translations := plurals or [entry.msgstr]):
            yield entry.msgid, translations
