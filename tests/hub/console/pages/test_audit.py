"""The audit tells who did what; what a person typed into it is in no address; it is for administrators."""

import asyncio
from datetime import UTC, datetime

import pytest

from hub.console.pages import audit


def event(target, by="hoa"):
    return {
        "id": "1", "at": datetime(2026, 11, 23, 1, 5, tzinfo=UTC), "by": by, "action": "unmask", "target": target,
        "reason": "<b>asked</b>", "outcome": "done",
    }  # fmt: skip


def test_a_row_tells_who_what_when_and_why_and_leads_to_what_was_unmasked():
    id = "0193b0c0-0000-7000-8000-000000000001"
    page = audit.table((event(f"message:{id}"), event("01021!test")), "en")
    assert "23/11/2026 08:05:00" in page and "hoa" in page and "unmask" in page
    assert f'<a href="/messages/{id}">message:{id}</a>' in page
    assert "&lt;b&gt;asked" in page and "<b>" not in page


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("operator", 403), ("vendor", 403), ("admin", 200)])
def test_it_is_for_administrators(served, settings, someone, role, status):
    async def run():
        async with served(settings, someone(role=role, scope=("minhkhai",) if role == "vendor" else ())) as (client, _):
            return await client.get("/audit")

    page = asyncio.run(run())
    assert page.status_code == status
    assert ("Thao tác (như unmask)" in page.text) == (status == 200)
