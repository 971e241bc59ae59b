"""The MLLP listener over real sockets, with real brokers behind it."""

import socket
from contextlib import suppress

import pytest

from adapters.formats.mllp import encode
from adapters.inbound.gate import MESSAGES
from hub.access.credentials import make_token
from tests.adapters.inbound.conftest import codes, msa, oru


def test_acknowledged_means_that_the_brokers_hold_the_message_and_its_event(border):
    with border.new_records(MESSAGES, "lab-result.v1") as read, border.link() as link:
        assert msa(link.ask(oru("DURABLE"))) == ("AA", "DURABLE")
        records = read()
        [message] = [event for topic, event in records if event.get("control_id") == "DURABLE"]
        assert message["raw"].startswith(b"MSH|") and message["verdict"] == "translated" and message["ack"] == "AA"
        [made] = message["events"]
        assert made["topic"] == "lab-result.v1"
        assert made["event_id"] in [event["meta"]["event_id"] for topic, event in records if topic == "lab-result.v1"]


def test_pipelined_messages_are_acknowledged_in_order_each_once(border):
    ids = [f"P{number:03}" for number in range(300)]  # more than `pipeline_max`, in one write
    with border.link() as link:
        link.write(b"".join(encode(oru(control_id)) for control_id in ids))
        assert [msa(link.ack()) for _ in ids] == [("AA", control_id) for control_id in ids]


def test_a_huge_message_keeps_its_place_among_small_ones(border):
    huge = oru("HUGE") + b"".join(b"NTE|%d||%s\r" % (number, b"x" * 1000) for number in range(1, 400))
    with border.link() as link:
        link.write(encode(oru("BEFORE")) + encode(huge) + encode(oru("AFTER")))
        assert [msa(link.ack())[1] for _ in range(3)] == ["BEFORE", "HUGE", "AFTER"]


def test_a_message_may_come_a_byte_at_a_time(border):
    with border.link() as link:
        link.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in encode(oru("CUT")):
            link.write(bytes([byte]))
        assert msa(link.ack()) == ("AA", "CUT")


def test_a_sender_that_never_writes_the_last_cr_is_answered_all_the_same(border):
    with border.link() as link:
        link.write(encode(oru("NOTAIL"))[:-1])
        ack = link.ack()
        assert msa(ack) == ("AA", "NOTAIL") and "FRAME_TAIL_MISSING" in codes(ack)


def test_a_sender_that_half_closes_still_gets_its_acknowledgements(border):
    with border.link() as link:
        link.write(encode(oru("HALF1")) + encode(oru("HALF2")))
        link.socket.shutdown(socket.SHUT_WR)
        assert [msa(link.ack())[1] for _ in range(2)] == ["HALF1", "HALF2"]
        assert link.ack() == ""


def test_bytes_between_frames_are_quarantined_and_not_answered(border):
    with border.new_records(MESSAGES) as read, border.link() as link:
        link.write(b"hello\r" + encode(oru("JUNK1")) + b"\r\n\x00" + encode(oru("JUNK2")))
        assert [msa(link.ack()) for _ in range(2)] == [("AA", "JUNK1"), ("AA", "JUNK2")]
        stray = [event for _, event in read() if event["raw"] == b"hello\r"]
        assert [(one["verdict"], one["ack"], one["problems"][0]["code"]) for one in stray] == [
            ("quarantined", "", "BYTES_BETWEEN_FRAMES")
        ]
        assert not [event for _, event in read() if event["raw"] == b"\r\n\x00"]  # padding is no message


def test_an_unfinished_frame_is_quarantined_when_the_link_closes(border):
    with border.new_records(MESSAGES) as read, border.link() as link:
        link.write(b"\x0bMSH|^~\\&|LIS|01004|unfinished")
        link.socket.shutdown(socket.SHUT_WR)
        assert link.ack() == ""
        [kept] = [event for _, event in read() if event["raw"].endswith(b"unfinished")]
        assert kept["verdict"] == "quarantined" and kept["problems"][0]["code"] == "FRAME_UNFINISHED"


def test_an_oversize_frame_is_refused_without_msa_2_and_the_link_goes_on(make_border):
    border = make_border(message_bytes_max=4096)
    with border.new_records(MESSAGES) as read, border.link() as link:
        body = oru("LARGE") + b"NTE|1||" + b"x" * 5000
        ack = link.ask(body)
        assert msa(ack) == ("AR", "") and codes(ack) == ["FRAME_TOO_LARGE"]
        assert msa(link.ask(oru("SMALL"))) == ("AA", "SMALL")
        [kept] = [event for _, event in read() if event["raw_size"] > 5000]
        assert kept["verdict"] == "refused" and len(kept["raw"]) < kept["raw_size"]


def test_an_unreadable_message_is_answered_ar_without_msa_2_so_that_the_sender_goes_on(border):
    with border.link() as link:
        ack = link.ask(b"this is no HL7")
        assert msa(ack) == ("AR", "") and codes(ack) == ["FORMAT_UNKNOWN"]
        assert msa(link.ask(oru("NEXT"))) == ("AA", "NEXT")


def test_a_slow_drip_is_cut_off_and_what_came_is_kept(make_border):
    border = make_border(frame_wait_s=0.4)
    with border.new_records(MESSAGES) as read, border.link() as link:
        link.write(b"\x0bMSH|^~\\&|drip")
        assert link.ack() == ""  # closed by the hub, no acknowledgement
        [kept] = [event for _, event in read() if event["raw"].endswith(b"drip")]
        assert kept["problems"][0]["code"] == "FRAME_UNFINISHED"


def test_a_silent_link_is_closed(make_border):
    border = make_border(idle_s=0.5)
    answers = []
    while not any(answers):  # one that a slow machine let wait may be closed before its first word
        with border.link() as link, suppress(ConnectionError):
            answers = [link.ask(oru("IDLE")), link.ack()]
    assert msa(answers[0]) == ("AA", "IDLE") and answers[1] == ""


def test_links_beyond_the_limit_are_closed_and_the_others_work(make_border):
    border = make_border(links_max=2)
    with border.link() as one, border.link() as two:
        assert msa(one.ask(oru("L1"))) == ("AA", "L1") and msa(two.ask(oru("L2"))) == ("AA", "L2")
        with border.link() as three:
            assert three.ack() == ""
        assert msa(one.ask(oru("L3"))) == ("AA", "L3")


def test_a_link_from_a_network_of_nobody_is_closed(make_border, tmp_path):
    file = tmp_path / "credentials.toml"
    file.write_text('[sender.far]\nfacilities = ["01004"]\nmllp_from = ["10.99.0.0/16"]\n')
    with make_border(credentials=file).link() as link:
        assert link.ack() == ""


def test_a_sender_may_speak_only_for_its_facilities(make_border, tmp_path):
    file = tmp_path / "credentials.toml"
    _token, digest = make_token()
    file.write_text(f'[sender.near]\nfacilities = ["01004"]\nmllp_from = ["127.0.0.0/8"]\ntoken_blake2b = "{digest}"\n')
    border = make_border(credentials=file)
    with border.new_records(MESSAGES) as read, border.link() as link:
        assert msa(link.ask(oru("OWN"))) == ("AA", "OWN")
        ack = link.ask(oru("FOREIGN", facility="01021"))
        assert msa(ack) == ("AR", "FOREIGN") and codes(ack) == ["FACILITY_NOT_ENTITLED"]
        kept = border.received("FOREIGN", read)
        assert kept["verdict"] == "refused" and kept["sender"] == "near" and kept["events"] == []


def test_a_port_that_is_taken_is_said_to_be(border, make_border):
    from hub.contract.errors import HubError

    with pytest.raises(HubError, match="PORT_TAKEN"):
        make_border(mllp_port=border.mllp_port)
