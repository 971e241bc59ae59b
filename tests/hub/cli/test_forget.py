"""`hie forget`: what it is asked, before it asks any server."""

import pytest
from typer.testing import CliRunner

from hub.cli.main import app
from hub.contract.errors import HubError


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("01021", "--reason", "r"), "FACILITY/KEY"),
        (("/LK1", "--reason", "r"), "FACILITY/KEY"),
        (("01021/ ", "--reason", "r"), "FACILITY/KEY"),
        (("01021/LK1",), "--reason"),
        (("01021/LK1", "--reason", " ", "--yes"), "--reason"),
    ],
)
def test_a_case_needs_facility_key_and_reason_and_none_of_them_is_told_again(words, wrong):
    with pytest.raises(HubError) as refused:
        CliRunner().invoke(app, ["forget", *words], catch_exceptions=False)
    assert refused.value.code == "REQUEST_WRONG" and refused.value.where.startswith(wrong)
    assert "LK1" not in refused.value.where.removeprefix("FACILITY/KEY, such as 01021/LK2611-031")
