"""The page in a real Chromium: sorting by click and by key, a phone's width, a printer's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from benchmark.report.html.page import write_report

Build = Callable[..., Path]
REQUIRED = os.environ.get("ADAPTBENCH_REQUIRE_CHROMIUM") == "1"
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        reason = f"no Chromium is installed ({', '.join(BROWSERS)})"
        (pytest.fail if REQUIRED else pytest.skip)(reason)
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def open_page(browser: Browser, file: Path, width: int = 1280) -> tuple[Page, list[str]]:
    """The page at a window's width, and the complaints of its console so far."""
    page = browser.new_page(viewport={"width": width, "height": 844})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    return page, complaints


def first_column(page: Page) -> list[str]:
    return page.locator("#results table").first.locator("tbody th").all_inner_texts()


def test_a_click_on_a_column_sorts_by_it(browser: Browser, build: Build) -> None:
    # A run that failed has no number, and comes last in either order.
    page, complaints = open_page(browser, write_report(build(failed=[("awsdocs", "random", 0)])))
    study_order = first_column(page)
    head = page.locator("#results table").first.locator("th[data-column='1']")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    ascending = first_column(page)
    assert ascending == ["mixing", "dds", "classifier", "pretraining", "target_only", "random"]
    assert ascending != study_order
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert first_column(page) == [*reversed(ascending[:-1]), "random"]
    head.locator("button").press("Space")
    assert head.get_attribute("aria-sort") is None
    assert first_column(page) == study_order
    assert complaints == []


def test_a_column_of_names_sorts_as_text(browser: Browser, build: Build) -> None:
    page, _ = open_page(browser, write_report(build()))
    page.locator("#results table").first.locator("th[data-column='0'] button").click()
    assert first_column(page) == sorted(first_column(page))


@pytest.mark.parametrize("width", [1280, 390])
def test_only_boxes_scroll_sideways(
    browser: Browser, build: Build, tmp_path: Path, width: int
) -> None:
    long = "a_rather_long_name_of_a_method_by_somebody"
    results = build(seeds=(0, 1), methods=("pretraining", long), failed=[("awsdocs", long, 0)])
    page, _ = open_page(browser, write_report(results), width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width == 390:
        assert page.evaluate(
            "[...document.querySelectorAll('.box')].some(b => b.scrollWidth > b.clientWidth)"
        )
    picture = tmp_path / f"report-{width}.png"
    page.screenshot(path=picture, full_page=True)
    assert picture.stat().st_size > 20_000


def test_nothing_is_cut_off_in_print(browser: Browser, build: Build) -> None:
    page, _ = open_page(browser, write_report(build(seeds=(0, 1))), width=1000)
    page.emulate_media(media="print")
    assert page.evaluate(
        "[...document.querySelectorAll('.box')].every(b => b.scrollHeight <= b.clientHeight + 1)"
    )
    assert not page.locator("nav").is_visible()
