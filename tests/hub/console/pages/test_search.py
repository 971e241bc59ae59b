"""What the form of the search says is read exactly, or refused."""

from datetime import datetime

import pytest

from hub.console.pages.search import time_of, wanted
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM


def test_times_are_vietnamese_and_what_is_none_is_refused():
    assert time_of("23/11/2026 08:30", "since") == datetime(2026, 11, 23, 8, 30, tzinfo=VIETNAM)
    assert time_of("", "since") is None
    assert wanted({"facility": " 01004 ", "until": "24/11/2026"}).facility == "01004"
    with pytest.raises(HubError):
        wanted({"since": "yesterday"})
