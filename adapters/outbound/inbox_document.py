"""What the inbox API answers, for its OpenAPI document (`GET /openapi.json`). A test holds real answers to these models."""

from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field

State = Literal["QUEUED", "SENT", "ACKNOWLEDGED", "REFUSED", "EXPIRED", "HELD", "DISCARDED"]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Fault(_Answer):
    """What went wrong: `code` is a row of the hub's table of errors."""

    code: str
    where: str = Field(description="The part of the request.")
    text: str
    text_vi: str


class Item(_Answer):
    """One delivery."""

    cursor: int = Field(description="Its number in this mailbox, counted without gaps.")
    delivery_id: UUID = Field(description="The same whenever and however it is delivered.")
    event_id: UUID = Field(description="Of what is delivered.")
    record: str = Field(description="Kind of what is delivered.", examples=["hie.LabResult"])
    lane: Literal["urgent", "routine"]
    rule: str = Field(description="Why this recipient gets it.", examples=["result-to-orderer"])
    state: State
    code: str = Field(description="Row of the table of errors, when refused, held or expired.")
    queued_at: datetime
    body: dict[str, Any] | str | None = Field(
        description="The event as JSON; text of the HL7 message or of the XML envelope; null with a problem."
    )
    problem: Fault | None = Field(None, description="Why the body cannot be shown in this format. Absent otherwise.")


class Page(_Answer):
    """Deliveries behind a cursor, in order."""

    facility: str
    test: bool
    cursor: int = Field(description="Ask with `after=` this for what comes next.")
    deliveries: list[Item]


class Said(_Answer):
    """A delivery of a receipt, with the state in which it is now: the first word stands."""

    delivery_id: UUID
    state: State


FAULTS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Fault, "description": "A parameter or the body is wrong."},
    401: {"model": Fault, "description": "No valid credential."},
    403: {"model": Fault, "description": "Not this credential's facility."},
    404: {"model": Fault, "description": "No such delivery in this mailbox."},
    503: {
        "model": Fault,
        "description": "Not now: ask again after Retry-After. RECIPIENT_PAUSED: an operator stopped deliveries.",
    },
}
TOO_MUCH: Final[dict[int | str, dict[str, Any]]] = {
    408: {"model": Fault, "description": "The body did not come to its end in time."},
    413: {"model": Fault, "description": "The body is larger than the hub takes."},
}


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document; without the 422 that FastAPI would answer and this API does not (400)."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, routes=app.routes)
        for operations in made["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            made["components"]["schemas"].pop(name, None)
        app.openapi_schema = made
    return app.openapi_schema
