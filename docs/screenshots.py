"""Pictures of a report for the README: `make screenshots OUT=runs/demo`. Needs Playwright and a Chromium."""

import argparse
import os
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

VIEWS = {"light": ("light", 1280), "dark": ("dark", 1280), "narrow": ("light", 390)}
SHOWN = {"light": "summary", "dark": "charts", "narrow": "summary"}  # which picture of each view the README shows
MARGIN = 16  # pixels around a comparison


def main() -> None:
    """Take the top of the page and its first comparison, whole and down to its charts, in each view."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, help="a report.html")
    parser.add_argument("target", type=Path, help="the folder that the pictures go to")
    parser.add_argument("--whole", action="store_true", help="the whole page too")
    parser.add_argument("--readme", metavar="NAME", help="only NAME-light.png, NAME-dark.png and NAME-narrow.png")
    args = parser.parse_args()
    args.target.mkdir(parents=True, exist_ok=True)
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for view, (scheme, width) in VIEWS.items():
            name = args.target / f"{args.readme or 'report'}-{view}"
            take(browser, args.report, name, scheme, width, args.whole)
            if args.readme:
                keep(name, SHOWN[view])
        browser.close()


def take(browser: Browser, report: Path, target: Path, scheme: str, width: int, whole: bool) -> None:
    """One view's pictures."""
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page.goto(report.resolve().as_uri())
    page.screenshot(path=f"{target}-summary.png")
    for figure in page.locator("figure.chart").all():
        figure.scroll_into_view_if_needed()
        page.wait_for_function("figure => figure.dataset.state === 'drawn'", arg=figure.element_handle())
    comparison = page.locator("section section").first
    comparison.screenshot(path=f"{target}-comparison.png")
    page.add_style_tag(content="thead th { position: static !important }")  # which stay in sight elsewhere
    top, charts = comparison.bounding_box(), comparison.locator(".figures").first.bounding_box()
    if top and charts:
        down = page.evaluate("window.scrollY")
        height = charts["y"] + charts["height"] - top["y"] + 2 * MARGIN
        clip = {"x": 0, "y": top["y"] + down - MARGIN, "width": width, "height": height}
        page.screenshot(path=f"{target}-charts.png", full_page=True, clip=clip)  # pyright: ignore[reportArgumentType]
    if whole:
        page.screenshot(path=f"{target}-whole.png", full_page=True)
    page.close()


def keep(name: Path, shown: str) -> None:
    """One of a view's pictures, in 256 colours; the others go."""
    with Image.open(f"{name}-{shown}.png") as picture:
        few = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        few.save(f"{name}.png", optimize=True)  # maximum coverage keeps the colours of small marks
    for other in ("summary", "comparison", "charts", "whole"):
        Path(f"{name}-{other}.png").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
