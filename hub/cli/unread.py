"""What a ledger does not hold yet of what was sent: commands that sum say so, as a sum that lacks a claim looks like any other."""

from typing import Final

from hub.cli.running import connected, paragraph, terminal
from hub.contract.errors import HubError
from hub.contract.settings import Settings

SENT: Final = "claim.v1"
ROUTING: Final = "routing"
"""The consumer group that passes claims on to payers: `hub.routing.app.GROUP`, whose import takes Faust along."""


def tell_unread(settings: Settings, payer: str) -> None:
    """Say on stderr how much the sums of a payer's ledger lack, or that nobody can be asked; nothing when they lack nothing.

    To be asked before the ledger is read: so silence means that what was sent until now is in the sums.
    """
    try:
        unrouted, unread = lacking(settings if settings.kafka else connected(settings), payer)
    except HubError as away:  # the ledger can be read all the same
        why = away.where if away.code == "NOT_RUNNING" else "the brokers do not answer"
        _say(
            f"Whether all that was sent is in this ledger is not known: {why}.",
            "Không rõ những gì đã gửi có trong sổ này hết chưa.",
        )
        return
    if unrouted or unread:
        topic = f"payer.{payer}.claim.v1"
        _say(
            f"Not all that was sent is in this ledger yet: {unread:,} records of {topic} are unread, and {unrouted:,} of {SENT} "
            "(all payers) are not routed. The sums lack them; ask again in a moment.",
            f"Sổ này chưa có hết những gì đã gửi: còn {unread:,} bản ghi của {topic} chưa đọc và {unrouted:,} của {SENT} "
            "(mọi đơn vị chi trả) chưa định tuyến. Các tổng còn thiếu; hãy hỏi lại sau giây lát.",
        )


def lacking(settings: Settings, payer: str) -> tuple[int, int]:
    """Claims that routing has still to pass on, of all payers, and those passed on that the ledger of this one has still to take.

    Asked in the order of their way, so that none slips through between the two. What is parked or held is on no way, and not counted.
    Raises: HubError(BROKER_UNAVAILABLE).
    """
    from hub.insurer.ledger import committed, ledger_folder
    from hub.journal.places import ends, topic_ids
    from hub.journal.standing import lag_of_group

    [unrouted] = lag_of_group(settings, ROUTING, ROUTING, [SENT])["hie_consumer_lag_records"].values()
    topic = f"payer.{payer}.claim.v1"
    held = {number: both for (_, number), both in ends(settings.kafka, [topic]).items()}
    folder = ledger_folder(settings, payer)
    there = (folder / "claims").is_dir()
    taken = committed(folder, topic_ids(settings.kafka)[topic], held) if there else {}
    return int(unrouted), sum(max(0, end - max(taken.get(number, 0), first)) for number, (first, end) in held.items())


def _say(english: str, vietnamese: str) -> None:
    err = terminal(stderr=True)
    paragraph(err, english, 0)
    paragraph(err, vietnamese, 0, "dim")
