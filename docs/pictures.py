"""What do the figures and pages look like? Pictures of a demonstration, for README and docs/.

surgvista demo --out DEMO && python docs/pictures.py DEMO
"""

import shutil
import sys
from pathlib import Path

import cv2
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"
WIDE, HIGH, HEAD = 1280, 780, 90  # pixels of the window, and of the head of the page
SECOND = 6  # of the operation


def take(demo: Path, images: Path = IMAGES) -> None:
    """Writes reconstruction.jpg, the newest of the run, and page.jpg, a screen of the page."""
    images.mkdir(exist_ok=True)
    newest = max((demo / "run" / "figures").glob("*.png"), key=lambda path: path.stat().st_mtime)
    sheet = cv2.imread(str(newest))
    half = cv2.resize(sheet, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(images / "reconstruction.jpg"), half, [cv2.IMWRITE_JPEG_QUALITY, 80])
    page = max((demo / "predictions").glob("operation_*.html"))  # the last of those unseen
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        window = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"]).new_page(
            viewport={"width": WIDE, "height": HIGH}
        )
        window.goto(page.resolve().as_uri())
        window.keyboard.press("d")
        for _ in range(SECOND):
            window.keyboard.press("ArrowRight")
        window.wait_for_timeout(1000)
        # Without the head of the page, which tells where the demonstration lies.
        below = {"x": 0, "y": HEAD, "width": WIDE, "height": HIGH - HEAD}
        window.screenshot(path=images / "page.jpg", type="jpeg", quality=80, clip=below)


if __name__ == "__main__":
    take(Path(sys.argv[1]))
