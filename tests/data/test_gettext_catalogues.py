"""What is read from a gettext catalogue."""

from __future__ import annotations

from benchmark.data.gettext_catalogues import translated


def test_entries_are_read_with_all_their_forms() -> None:
    text = r"""
msgid ""
msgstr "Content-Type: text/plain"

#. a comment
#.Remark: without a space
#: file.py:3
msgid "A \"long\" "
"text\n"
msgstr "Ein \"langer\" "
"Text\n"

#, fuzzy
msgid "guess"
msgstr "geraten"

msgctxt "month"
msgid "May"
msgid_plural "Mays"
msgstr[0] "Mai"
msgstr[1] "Maie"

msgid "open"
msgstr ""

#~ msgid "old"
#~ msgstr "alt"
"""
    assert list(translated(text)) == [
        ('A "long" text\n', ['Ein "langer" Text\n']),
        ("May", ["Mai", "Maie"]),
    ]
