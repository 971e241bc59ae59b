"""Which segments belong to one order or result, where specimens and prior results stand among them."""

from hub.contract.events import Event
from tests.adapters.dialects.said import read


def told(events: list[Event]) -> list[tuple[str, str, list[str]]]:
    """Number, specimen and codes of each."""
    return [
        (
            event.get("placer", ""),
            event.get("specimen_id", ""),
            [line["code"]["code"] for line in event.get("observations", [])]
            or [one["code"] for one in event.get("services", [])],
        )
        for event in events
    ]


def test_a_specimen_that_leads_belongs_to_the_orders_behind_it() -> None:
    events = read("OML^O33", "SPM|1|M1", "ORC|NW|1", "OBR|1|1||A", "ORC|NW|2", "OBR|2|2||B", "SPM|2|M2", "ORC|NW|3", "OBR|3|3||C")
    assert told(events) == [("1", "M1", ["A"]), ("2", "M1", ["B"]), ("3", "M2", ["C"])]


def test_a_specimen_that_follows_belongs_to_the_order_before_it() -> None:
    events = read("OML^O21", "ORC|NW|1", "OBR|1|1||A", "SPM|1|M1", "SPM|2|M2", "ORC|NW|2", "OBR|2|2||B", "SPM|1|M3")
    assert told(events) == [("1", "M1", ["A"]), ("2", "M3", ["B"])]


def test_each_result_has_the_specimen_before_it_and_the_orc_behind_it() -> None:
    rows = ["SPM|1|M1", "OBR|1||X1|A", "ORC|RE|1", "OBX|1|NM|a||5", "OBR|2||X2|B", "ORC|RE|2", "OBX|1|NM|b||6"]
    assert told(read("OUL^R22", *rows, "SPM|2|M2", "OBR|1||X3|C", "ORC|RE|3", "OBX|1|NM|c||7")) == [
        ("1", "M1", ["a"]),
        ("2", "M1", ["b"]),
        ("3", "M2", ["c"]),
    ]


def test_what_is_observed_of_person_and_specimen_goes_with_the_first_result() -> None:
    rows = ["OBX|1|NM|weight||52", "SPM|1|M1", "OBX|1|NM|volume||10", "OBR|1|1||A", "ORC|RE|1", "OBX|1|NM|a||5", "OBR|2|2||B"]
    assert told(read("OUL^R22", *rows, "OBX|1|NM|b||6")) == [("1", "M1", ["weight", "volume", "a"]), ("2", "M1", ["b"])]


def test_results_without_specimen_are_read_as_ever() -> None:
    rows = ["ORC|RE|1", "OBR|1|1||A", "OBX|1|NM|a||5", "ORC|RE|2", "OBR|1|2||B", "OBX|1|NM|b||6"]
    assert told(read("OUL^R21", *rows)) == told(read("ORU^R01", *rows)) == [("1", "", ["a"]), ("2", "", ["b"])]


def test_a_prior_result_in_an_order_is_no_order() -> None:
    rows = ["ORC|NW|1", "OBR|1|1||A", "PID|1||N1^^^^MR", "ORC|PR|9", "OBR|1|9||A", "OBX|1|NM|a||5"]
    assert told(read("OML^O21", *rows)) == [("1", "", ["A"])]


def test_a_further_test_of_a_prior_result_is_no_order_either() -> None:
    rows = [
        "ORC|NW|1",
        "OBR|1|1||A",
        "ORC|PR|9",
        "OBR|1|9||A",
        "OBX|1|NM|a||5",
        "OBR|2|||B",
        "OBX|1|NM|b||6",
        "ORC|NW|2",
        "OBR|3|2||C",
    ]
    assert told(read("OML^O21", *rows)) == [("1", "", ["A"]), ("2", "", ["C"])]
