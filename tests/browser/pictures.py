"""`python tests/browser/pictures.py`: start the program with simulated prices and keep pictures of its page in docs/."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from playwright.sync_api import sync_playwright
from program import ROOT, Program

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PICTURES = {
    "page.png": ({"width": 1440, "height": 900}, "light"),
    "page-dark.png": ({"width": 1440, "height": 900}, "dark"),
    "page-phone.png": ({"width": 390, "height": 844}, "light"),
}


def main() -> None:
    """Take each picture once candles and line are painted."""
    import shutil

    folder = ROOT / "docs"
    folder.mkdir(exist_ok=True)
    program = Program(Path(tempfile.mkdtemp(prefix="stockwatch-pictures-")))
    program.write(market={"source": "simulator", "tickers": ["RELIANCE.NS", "TCS.NS", "INFY.NS", "AAPL"]})
    try:
        program.start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            for name, (size, scheme) in PICTURES.items():
                page = browser.new_page(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
                page.goto(program.health()["dashboard_url"])
                page.wait_for_function("() => document.querySelectorAll('.boxes path').length === 50", timeout=20_000)
                page.wait_for_selector(".scatterlayer .js-line")
                page.wait_for_timeout(1_500)  # fonts
                page.screenshot(path=folder / name)
            browser.close()
    finally:
        program.kill()
        shutil.rmtree(program.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
