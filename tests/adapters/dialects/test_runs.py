"""What repeats in a message: patients, and the runs of segments under each."""

from adapters.dialects.runs import firsts, notes_of, patients
from adapters.formats.hl7v2 import parse


def cut(*rows, begins="FT1"):
    message = parse("\r".join(["MSH|^~\\&|A|B|C|D|20261123||DFT^P03|1|P|2.5.1", *rows]))
    return patients(message, lambda name, _: name == begins)


def names(segments):
    return [segment.name for segment in segments]


def test_a_run_goes_on_to_the_next_and_what_stands_before_is_the_head():
    [patient] = cut("EVN", "PID|1", "FT1|1", "NTE|1||a", "FT1|2")
    assert names(patient.head) == ["EVN", "PID"]
    assert [names(run) for run in patient.runs] == [["FT1", "NTE"], ["FT1"]]
    assert names(patient.named("PID", "NTE")) == ["PID", "NTE"]


def test_a_second_pid_begins_another_patient_with_runs_of_its_own():
    first, second = cut("PID|1", "FT1|1", "PID|2", "PV1|1", "FT1|2")
    assert (names(first.head), len(first.runs)) == (["PID"], 1)
    assert (names(second.head), second.runs[0][0].get(1)) == (["PID", "PV1"], "2")


def test_without_pid_there_is_one_patient_of_whom_nothing_is_known():
    [patient] = cut("FT1|1")
    assert patient.head == []


def test_the_names_of_the_run_before_decide_whether_a_new_one_begins():
    message = parse("MSH|^~\\&|A|B|C|D|20261123||RDE^O11|1|P|2.5.1\rRXE|1\rRXR|1\rRXE|2\rRXE|3")
    [patient] = patients(message, lambda name, before: name == "RXE" and (not before or name in before))
    assert [names(run) for run in patient.runs] == [["RXE", "RXR"], ["RXE"], ["RXE"]]


def test_the_first_of_each_name_and_the_notes_of_a_run():
    [patient] = cut("FT1|1", "NTE|1||a", "NTE|2||", "NTE|3||b")
    assert firsts(patient.runs[0])["NTE"].get(3) == "a"
    assert notes_of(patient.runs[0]) == ["a", "b"]
