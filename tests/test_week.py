"""A small week of the nation through a whole hub on real servers, while services are killed: everything is accounted for."""

import pytest

from hub.cli.simulate import killer, run_week
from hub.contract.events import VIETNAM, now
from hub.contract.settings import read_settings
from hub.week.plan import Rates, last_week
from tests.whole_hub import needs_local_stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_a_week_in_which_services_are_killed_is_accounted_for(monkeypatch):
    needs_local_stack()
    for name in ("HIE_KAFKA_BOOTSTRAP", "HIE_REGISTRY_URL", "HIE_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)  # the services read them too
    said: list[str] = []
    outcome = run_week(
        read_settings(),
        said.append,
        seed=11,
        scale=0.00001,
        monday=last_week(now().astimezone(VIETNAM).date()),
        days=7,
        rates=Rates(referral=0.8, follow_up=0.4),
        disturb=killer(11, 2, said.append),
    )
    assert sum(line.startswith("kill -9") for line in said) == 2
    accounts = outcome.accounts
    assert accounts.whole, (accounts.odd, accounts.missing, accounts.surplus, accounts.strangers, outcome.books.text())
    assert outcome.books.close, outcome.books.text()
    to_facility, to_portal, _ = accounts.arrivals
    assert 0 < to_facility.alone <= to_facility.mended <= to_facility.slips
    assert 0 < to_portal.alone < to_portal.mended
