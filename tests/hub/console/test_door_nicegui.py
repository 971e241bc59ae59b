"""Inside NiceGUI: strangers make no page, the page function, a click and a timer know who is signed in, and nobody joins another's page."""

import subprocess
import sys


def test_strangers_get_files_alone_and_page_click_and_timer_know_who_is_signed_in():
    done = subprocess.run(
        [sys.executable, "-m", "tests.hub.console.door_story"], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "200 404 404 404 404 404",
        "401 401 401 401 401 401 401 401 0",
        "200 True",
        "not quoted",
        "click an",
        "page an",
        "timer an",
        "403",
    ]
