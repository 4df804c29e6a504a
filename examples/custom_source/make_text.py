"""Text out of a database: one JSON object a line, with a text field and a domain field.

A study reads .txt, .jsonl, .parquet and .arrow files. What is in any other format is turned into
one of them once, by a script like this one; ``text_field`` and ``domain_field`` of the study then
name the fields. The database is made here, so that the example is complete: yours exists.
"""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path

FOLDER = Path(__file__).parent
DATABASE, TEXT = FOLDER / "tickets.sqlite", FOLDER / "tickets.jsonl"
SUBJECTS = {
    "printers": ("printer", "tray", "toner", "driver", "page", "scanner"),
    "network": ("switch", "cable", "router", "port", "signal", "address"),
    "accounts": ("password", "login", "mailbox", "group", "folder", "licence"),
    "backups": ("archive", "disk", "snapshot", "volume", "copy", "tape"),
}
PROBLEMS = ("does not respond", "was replaced yesterday", "shows an error", "is full again")
WISHES = ("please look at the {}", "nobody has touched the {}", "the other {} is fine")


def make_database(file: Path) -> None:
    """A table of 600 made-up tickets, the same at every call."""
    draw = random.Random(0)
    rows = []
    for number in range(600):
        queue = draw.choice(list(SUBJECTS))
        first, second = draw.sample(SUBJECTS[queue], 2)
        wish = draw.choice(WISHES).format(second)
        rows.append((queue, f"Ticket {number}: the {first} {draw.choice(PROBLEMS)}, {wish}."))
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE tickets (queue TEXT, body TEXT)")
        database.executemany("INSERT INTO tickets VALUES (?, ?)", rows)


def write_text(database: Path, file: Path) -> int:
    """One line a ticket, as the rows come, so that any number fits; how many there were."""
    count = 0
    with sqlite3.connect(database) as opened, file.open("w", encoding="utf-8") as stream:
        for queue, body in opened.execute("SELECT queue, body FROM tickets ORDER BY rowid"):
            # A field inside another is named with a dot: meta.queue.
            stream.write(json.dumps({"body": body, "meta": {"queue": queue}}) + "\n")
            count += 1
    return count


if __name__ == "__main__":
    if not DATABASE.exists():
        make_database(DATABASE)
    print(f"{write_text(DATABASE, TEXT)} documents in {TEXT.name}")
