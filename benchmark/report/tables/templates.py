"""Templates of the pages, with what they hold inside: nothing is fetched."""

from __future__ import annotations

from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from benchmark.core.spelling import visible

PACKAGE, FOLDER = "benchmark.report", "templates"


def fill(template: str, **content: object) -> str:
    """The page of a template; text in ``content`` is not read as markup."""
    environment = Environment(
        loader=PackageLoader(PACKAGE, FOLDER),
        autoescape=True,
        finalize=_visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style, script = _inline("page.css"), _inline("page.js")
    return environment.get_template(template).render(style=style, script=script, **content)


def _visible(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _inline(name: str) -> Markup:
    return Markup((resources.files(PACKAGE) / FOLDER / name).read_text(encoding="utf-8"))
