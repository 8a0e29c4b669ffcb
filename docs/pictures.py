"""What do the figures and pages look like? Pictures of a demonstration, for README and docs/.

surgvista demo --out DEMO && python docs/pictures.py DEMO
"""

import shutil
import sys
from pathlib import Path

import cv2
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"
WIDE, HIGH = 1280, 760  # of the window


def take(demo: Path, images: Path = IMAGES) -> None:
    """Writes reconstruction.png, the newest of the run, and page.png, a screen of the page."""
    images.mkdir(exist_ok=True)
    newest = max((demo / "run" / "figures").glob("*.png"), key=lambda path: path.stat().st_mtime)
    cv2.imwrite(str(images / "reconstruction.png"), cv2.imread(str(newest)))
    (page,) = (demo / "predictions").glob("*.html")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        window = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"]).new_page(
            viewport={"width": WIDE, "height": HIGH}
        )
        window.goto(page.resolve().as_uri())
        window.keyboard.press("d")
        for _ in range(12):
            window.keyboard.press("Shift+ArrowRight")
        window.wait_for_timeout(1000)
        window.screenshot(path=images / "page.png")


if __name__ == "__main__":
    take(Path(sys.argv[1]))
