"""Pictures of the console's pages for its README: `python -m tests.pictures hub/console/pictures`, with Chromium.

On a whole hub of its own after the demo's story, as the walks of `test_console.py`; in the language of who looks, 1366 × 768.
"""

import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from hub.cli.demo import Story
from hub.services import address
from tests.test_console import BROWSER, PASSWORD, come, message_of
from tests.whole_hub import Hub

PAGES = {
    "overview": ("lan", "/"),
    "incidents": ("lan", "/incidents"),
    "senders": ("lan", "/senders"),
    "sender": ("lan", "/senders/local"),
    "search": ("lan", "/search"),
    "message": ("lan", "/messages/{DEMO-90}"),
    "story": ("lan", "/messages/{DEMO-04}"),
    "cases": ("lan", "/cases"),
    "worklists": ("lan", "/worklists"),
    "dead-letters": ("lan", "/dead-letters"),
    "recipients": ("lan", "/recipients"),
    "topics": ("lan", "/topics"),
    "topic": ("lan", "/topics/referral.v1"),
    "payer": ("lan", "/payers/vss"),
    "statement": ("giamdinh", "/payers/vss/statements"),
    "mine": ("mai", "/mine"),
    "try": ("mai", "/try"),
    "audit": ("hoa", "/audit"),
}
"""Name of the picture to who looks, and at what; a control id in braces is its message."""


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, Hub(Path(data)) as hub:
        Story(hub.town, lambda step, _proof: print(step)).tell()
        hub.settled()
        come(hub)  # before Playwright, which has a loop of its own
        with sync_playwright() as playwright:
            take(hub, playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"]), folder)


def take(hub: Hub, browser: Browser, folder: Path) -> None:
    """Each of `PAGES` as one who is signed in sees it."""
    base = "http://{}:{}".format(*address(hub.settings, "console", "console_port"))
    pages = {}
    for name, (who, path) in PAGES.items():
        if who not in pages:
            pages[who] = page = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
            page.goto(base + "/")
            page.fill("input[name=name]", who)
            page.fill("input[name=password]", PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_url(lambda url: "/login" not in url)
        before, _, rest = path.partition("{")
        control_id, _, after = rest.partition("}")
        pages[who].goto(base + before + (f"{message_of(hub, control_id)}{after}" if control_id else ""))
        time.sleep(5)  # two samples: rates are there, too
        pages[who].screenshot(path=folder / f"{name}.png")
        print(name)
    browser.close()


if __name__ == "__main__":
    main()
