"""What the console's pages cost with much behind them: `python -m tests.console_load --messages 5000000 --rate 1000 --consoles 20`.

On a whole hub of its own, its journal filled with invented messages: until a page has its first paint in Chromium; how late a live figure is,
against the index itself; processor time of the console's service with so many open pages, without load and with it. One JSON line a figure.
"""

import argparse
import itertools
import json
import re
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import uvloop
from playwright.sync_api import sync_playwright
from websockets.sync.client import connect as link

from hub.bench.gate import paced
from hub.bench.search import load
from hub.contract.places import shipped
from hub.services import address
from hub.store.database import connect
from tests.test_console import BROWSER, PASSWORD, come
from tests.whole_hub import Hub

PAGES = (
    "/",
    "/incidents",
    "/senders",
    "/senders/sender-0",
    "/search",
    "/cases",
    "/worklists",
    "/dead-letters",
    "/recipients",
    "/topics",
    "/payers/vss",
)
RECEIVED = "map-gate-0"


def say(name, value, unit, **more):
    print(json.dumps({"name": f"console: {name}", "value": value, "unit": unit, **more}), flush=True)


def middle(values):
    return sorted(values)[len(values) // 2]


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("--messages", type=int, default=5_000_000)
    asked.add_argument("--rate", type=float, default=1000.0)
    asked.add_argument("--consoles", type=int, default=20)
    asked.add_argument("--seconds", type=float, default=40.0)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder, Hub(Path(folder)) as hub:
        come(hub)
        began = time.monotonic()
        with connect(hub.settings.database_url.get_secret_value(), autocommit=True) as database:
            load(database, given.messages)
        say("journal filled", round(time.monotonic() - began), "s", messages=given.messages)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
            page, base = signed_in(hub, browser)
            first_paints(page, base)
            cookie = "; ".join(f"{one['name']}={one['value']}" for one in page.context.cookies())
            service = psutil.Process(hub.services.pid("console"))
            with ExitStack() as opened:
                for _ in range(given.consoles):
                    opened.enter_context(looking(page, base, cookie))
                page.goto(base + "/search")  # what Chromium itself shows has no live figure
                share(service, given, "idle hub")
                with loaded(hub, given):
                    share(service, given, "under load")
            with loaded(hub, given):
                first_paints(page, base, " under load")
            with loaded(hub, given):
                lateness(page, base, hub, given.seconds - 5)
            browser.close()


def signed_in(hub, browser):
    base = "http://{}:{}".format(*address(hub.settings, "console", "console_port"))
    page = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
    page.goto(base + "/")
    page.fill("input[name=name]", "lan")
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login" not in url)
    return page, base


def first_paints(page, base, when=""):
    for path in PAGES:
        paints = []
        for _ in range(5):
            page.goto(base + path)
            page.wait_for_selector("#main")
            paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        say(f"first paint of {path}{when}", round(middle(paints)), "ms", worst=round(max(paints)))


@contextmanager
def looking(page, base, cookie):
    """One more console at the overview: its page, and the websocket that its figures come by."""
    told = page.context.request.get(base + "/").text()
    client_id = re.search(r"client_id['\"]?\s*:\s*['\"]([0-9a-f-]{36})", told)[1]
    query = f"EIO=4&transport=websocket&client_id={client_id}&implicit_handshake=true&tab_id={client_id}&document_id=d&next_message_id=0"
    where = f"ws{base.removeprefix('http')}/_nicegui_ws/socket.io/?{query}"
    with link(where, origin=base, additional_headers={"cookie": cookie}, proxy=None) as held:
        held.recv()
        held.send("40")
        ended = threading.Event()

        def listen():
            while not ended.is_set():
                try:
                    if held.recv(timeout=1) == "2":
                        held.send("3")  # it is still there
                except TimeoutError:
                    continue

        reader = threading.Thread(target=listen)
        reader.start()
        try:
            yield
        finally:
            ended.set()
            reader.join()


def share(service, given, when):
    before = service.cpu_times()
    time.sleep(given.seconds - 5)
    after = service.cpu_times()
    used = (after.user + after.system - before.user - before.system) / (given.seconds - 5)
    say(f"{given.consoles} consoles, {when}", round(used * 100, 1), "% of one core")


@contextmanager
def loaded(hub, given):
    """Messages at that rate meanwhile."""
    template = shipped("seeds/bench/oru_14_obx.hl7").read_bytes()
    place, done = address(hub.settings, "gate", "mllp_port"), []
    sending = threading.Thread(target=lambda: done.append(uvloop.run(paced(place, template, 10, given.seconds, given.rate))))
    began = time.monotonic()
    sending.start()
    time.sleep(2)
    yield
    sending.join()
    run = done[0]
    say(
        "sent meanwhile",
        round(len(run.waits_ms) / (time.monotonic() - began)),
        "acked/s",
        p99_ms=run.share(0.99),
        wrong=run.wrong,
    )


def lateness(page, base, hub, seconds):
    """When the page showed that so many were received, against when the index had as many."""
    page.goto(base + "/")
    page.wait_for_selector(f"#{RECEIVED}")
    shown, counted = [], []
    query = "select count(*) from journal_message where day = (now() at time zone 'Asia/Ho_Chi_Minh')::date and not test"
    with connect(hub.settings.database_url.get_secret_value(), autocommit=True) as database:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            counted.append((time.monotonic(), database.execute(query).fetchone()[0]))
            text = page.text_content(f"#{RECEIVED}")
            value = int(re.sub(r"\D", "", text) or 0)
            if not shown or shown[-1][1] != value:
                shown.append((time.monotonic(), value))
            time.sleep(0.1)
    late = [at - max(when for when, count in counted if count <= value) for at, value in shown[1:] if value >= counted[0][1]]
    gaps = [after[0] - before[0] for before, after in itertools.pairwise(shown)]
    if late:
        say("a live figure is late by", round(middle(late), 2), "s", worst=round(max(late), 2), changes=len(late))
        say("between two changes of it", round(middle(gaps), 2), "s", worst=round(max(gaps), 2))


if __name__ == "__main__":
    main()
