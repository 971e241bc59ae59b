"""Why there is no answer is said in words, and never with what a database says, which may quote a value."""

import pytest
from psycopg.errors import DataError, QueryCanceled
from psycopg_pool import PoolTimeout

from hub.console.shell import FAULTS, sorry
from hub.contract.errors import ERRORS, HubError


@pytest.mark.parametrize("language", ["vi", "en"])
def test_of_a_fault_only_what_it_is_is_said(language):
    assert sorry(HubError("REQUEST_WRONG", "since"), language).endswith(": since")
    assert getattr(ERRORS["BROKER_UNAVAILABLE"], language) in sorry(HubError("BROKER_UNAVAILABLE", "x"), language)
    for wrong in (DataError("value NGUYEN SEN"), PoolTimeout("NGUYEN SEN"), QueryCanceled("NGUYEN SEN")):
        assert isinstance(wrong, FAULTS)
        told = sorry(wrong, language)
        assert "NGUYEN" not in told
        assert ("DATABASE_UNAVAILABLE" in told) == (not isinstance(wrong, QueryCanceled))
