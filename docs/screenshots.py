"""Pictures of a report for the README: `make screenshots OUT=runs/demo`. Needs Playwright and a Chromium."""

import argparse
import os
import shutil
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

VIEWS = {"light": ("light", 1280), "dark": ("dark", 1280), "narrow": ("light", 390)}


def main() -> None:
    """Take the top of the page and its first comparison, in each view."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, help="a report.html")
    parser.add_argument("target", type=Path, help="the folder that the pictures go to")
    parser.add_argument("--whole", action="store_true", help="the whole page too")
    args = parser.parse_args()
    args.target.mkdir(parents=True, exist_ok=True)
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name, (scheme, width) in VIEWS.items():
            take(browser, args.report, args.target / f"report-{name}", scheme, width, args.whole)
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
    page.locator("section section").first.screenshot(path=f"{target}-comparison.png")
    if whole:
        page.screenshot(path=f"{target}-whole.png", full_page=True)
    page.close()


if __name__ == "__main__":
    main()
