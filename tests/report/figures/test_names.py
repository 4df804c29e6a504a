"""Names of any sign and script in figures: nothing is mathematics, nothing is a box in silence."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib.style
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text

from benchmark.report.compare.selection import write_selection
from benchmark.report.figures import fonts
from benchmark.report.figures.picture import encode
from benchmark.report.figures.style import RC, wrapped
from benchmark.report.figures.write import FIGURES, write_figures
from benchmark.report.results.inputs import load_results

Build = Callable[..., Path]
NAMES = (
    *("under_$5_$10", r"$\frac{", "$x^2$", r"a\b", "_hidden", "50% & <b>more</b>", "a|b"),
    *("法律", "Ελλάδα", "bell\x07", "a" * 300),
)


@pytest.fixture
def domains(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The provenance domains of the records that are built in this test."""
    rows = {name: 1000 * (12 - number) for number, name in enumerate(NAMES)}
    monkeypatch.setattr("tests.report.conftest.DOMAIN_ROWS", rows)
    fonts.take_replaced()
    return rows


@pytest.fixture
def chinese(tmp_path: Path) -> Iterator[str]:
    """An installed font of the name given, with the signs of the Chinese name and no others."""
    glyphs = {".notdef": 0, "fa": 0x6CD5, "lu": 0x5F8B}
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 700), (700, 700), (700, 0)):
        pen.lineTo(point)
    pen.closePath()
    square = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(list(glyphs))
    builder.setupCharacterMap({code: name for name, code in glyphs.items() if code})
    builder.setupGlyf(dict.fromkeys(glyphs, square))
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Two Signs", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "two.ttf")
    before = list(fontManager.ttflist)
    fontManager.addfont(tmp_path / "two.ttf")
    fonts._found.cache_clear()
    yield "Two Signs"
    fontManager.ttflist[:] = before
    fonts._found.cache_clear()


def texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]


def drawn(name: str, results: Path) -> Figure:
    """A figure as its file has it; matplotlib's warnings of boxes are errors."""
    with matplotlib.style.context(["default", RC]), warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = FIGURES[name](load_results(results))
        encode(figure)
    return figure


@pytest.mark.usefixtures("domains")
def test_every_domain_stands_in_the_legend_as_it_is_called(build: Build) -> None:
    shown = "".join(text.get_text() for text in texts(drawn("selection", build())))
    shown = shown.replace("\n", "").replace(" ", "")
    for name in ("under_$5_$10", r"$\frac{", "$x^2$", r"a\b", "_hidden", "50%&<b>more</b>", "a|b"):
        assert name in shown


@pytest.mark.usefixtures("domains")
def test_what_no_font_has_is_shown_by_its_code_and_said_once(build: Build) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        write_figures(build())
    lines = [str(warning.message) for warning in said]
    assert [line for line in lines if "no installed font has" in line] == lines
    assert len(lines) == 1
    assert "法 (U+6CD5)" in lines[0]
    assert "install a font" in lines[0]
    assert wrapped("法律") == "[U+6CD5 5F8B]"


@pytest.mark.usefixtures("domains")
def test_an_installed_font_that_has_the_signs_is_used(build: Build, chinese: str) -> None:
    figure = drawn("selection", build())
    (label,) = [text for text in texts(figure) if "法律" in text.get_text()]
    assert label.get_fontfamily() == [fonts.FAMILY, chinese]
    assert not {"法", "律"} & fonts.take_replaced()
    others = [text for text in texts(figure) if text.get_text().isascii()]
    assert {tuple(text.get_fontfamily()) for text in others} == {(fonts.FAMILY,)}


def test_a_font_of_placeholders_or_of_formulas_is_no_font_for_a_name() -> None:
    """Matplotlib brings both along; they would draw boxes, or other signs, without a warning."""
    families = {family for family, _ in fonts._others()}
    assert not {name for name in families if "Last Resort" in name or name.startswith("cm")}


def test_a_wide_sign_takes_two_columns(chinese: str) -> None:
    assert wrapped("法" * 20, 24).split("\n") == ["法" * 12, "法" * 8]
    assert chinese


@pytest.mark.long
@pytest.mark.usefixtures("domains")
@pytest.mark.parametrize("domain", ["under_$5_$10", "法律", "a|b", r"$\frac{"])
def test_a_selection_can_be_drawn_of_any_domain(build: Build, domain: str) -> None:
    results = build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        files = write_selection(results, domain)
    assert {file.parent for file in files} == {results, results / "figures"}
    text = next(file for file in files if file.suffix == ".md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count(" | ") for line in rows}) == 1


@pytest.mark.long
def test_files_of_two_domains_are_never_the_same(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("v1.2", "v1.3", "../../out", "a/b", "a_b", "a:b")
    monkeypatch.setattr("tests.report.conftest.DOMAIN_ROWS", dict.fromkeys(names, 10))
    results = build()
    files = [file for name in names for file in write_selection(results, name)]
    assert len(set(files)) == len(files)
    assert {file.parent for file in files} == {results, results / "figures"}
