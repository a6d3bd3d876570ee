"""How soon a report's page answers its reader, by the performance API of Chromium: medians of several loads.

    python benchmarks/page_speed.py runs/demo/report.html

"Interactive" is when the page's scripts have run and the browser answers: the end of the load event, or of the last
task that kept it busy for 50 ms or more until then. "Filter" is the time from a letter in a filter to the next frame.
"""

import argparse
import os
import shutil
import statistics
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

_OBSERVE = """
window.busy = [];
new PerformanceObserver((list) => window.busy.push(...list.getEntries().map((task) => task.startTime + task.duration)))
  .observe({ type: "longtask", buffered: true });
"""
_TIMES = """() => {
  const [page] = performance.getEntriesByType("navigation");
  return {
    parsed: page.domInteractive,
    loaded: page.loadEventEnd,
    interactive: Math.max(page.loadEventEnd, ...window.busy),
    nodes: document.querySelectorAll("*").length,
  };
}"""
_FILTER = """() => new Promise((done) => {
  const field = [...document.querySelectorAll(".filter input")].sort((a, b) =>
    b.closest(".table").querySelectorAll("tr").length - a.closest(".table").querySelectorAll("tr").length)[0];
  if (!field) return done(null);
  const start = performance.now();
  field.value = "e";
  field.dispatchEvent(new Event("input"));
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
})"""


def main() -> None:
    """Load the page several times and print the medians, in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="a report.html")
    parser.add_argument("--loads", type=int, default=5)
    args = parser.parse_args()
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        loads = [
            measured(browser.new_page(viewport={"width": 1280, "height": 900}), args.report) for _ in range(args.loads)
        ]
        browser.close()
    size = args.report.stat().st_size / 1e6
    shown = {name: statistics.median(load[name] for load in loads) for name in loads[0] if loads[0][name] is not None}
    print(f"{size:.1f} MB, " + ", ".join(f"{name} {value:,.0f}" for name, value in shown.items()))


def measured(page: Page, report: Path) -> dict[str, Any]:
    """One load."""
    page.add_init_script(_OBSERVE)
    page.goto(report.resolve().as_uri(), wait_until="load")
    page.wait_for_timeout(1500)
    times = page.evaluate(_TIMES)
    times["filter"] = page.evaluate(_FILTER)
    page.close()
    return times


if __name__ == "__main__":
    main()
