"""What needs a person is on the first page, a part of the hub that hangs or stopped before all else."""

from dataclasses import replace

from hub.console.pages.overview import figures
from hub.console.sampler import Snapshot, Waiting
from hub.console.services_look import ServiceNow
from hub.contract.events import now

WELL = Snapshot(
    services={"journal": ServiceNow(alive=True, addresses="")},
    waits={"paused": Waiting()},
    brokers=1,
    disk_free_bytes=10**12,
)


def test_a_part_that_stopped_or_hangs_needs_a_person():
    assert figures(WELL, "en")["work-down"] == ("0", "")
    for service, told in (
        (ServiceNow(alive=False, addresses=""), "does not run"),
        (ServiceNow(alive=True, addresses="", answers=False), "does not answer"),
    ):
        found = figures(replace(WELL, services={"journal": service}), "en")
        assert found["part-journal"] == (told, "bad")
        assert found["work-down"] == ("1", "bad")


def test_a_recipient_that_is_paused_needs_a_person():
    assert figures(WELL, "en")["work-paused"] == ("0", "")
    assert figures(replace(WELL, waits={"paused": Waiting(2, now())}), "en")["work-paused"] == ("2 · 0 s", "warn")
