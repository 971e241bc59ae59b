"""What is generated from the standard equals what is in the repository, and the rule covers every row or stops."""

import json
from collections import Counter

import pytest

from hub.contract.claim_tables import kind_of, tables
from hub.contract.generate import generated
from hub.contract.places import shipped


def test_generated_files_are_up_to_date():
    stale = [path.name for path, text in generated(shipped("schemas")).items() if path.read_text("utf-8") != text]
    assert stale == []


def test_there_are_455_elements_in_15_claim_tables():
    claim_tables = {name: elements for name, elements in tables().items() if name != "XML0"}
    assert len(claim_tables) == 15
    assert sum(map(len, claim_tables.values())) == 455


def test_xml13_has_one_layout():
    names = set(tables()["XML13"])
    assert {"MA_CSKCB_DI", "MA_CSKCB_DEN", "TINH_TRANG_CT", "PP_DIEUTRI"} <= names
    assert not {"MA_NOI_DI", "MA_NOI_DEN", "PP_DIEU_TRI"} & names


def test_the_rule_stops_at_a_row_it_does_not_cover():
    row = {"table": "XML9", "field": "NEW", "type": "number", "format": "", "code_list": "", "max_length": "3"}
    with pytest.raises(ValueError, match="XML9/NEW"):
        kind_of(row)


@pytest.mark.parametrize(
    ("table", "field", "kind"),
    [
        ("XML1", "T_TONGCHI_BV", "decimal(18,2)"),
        ("XML2", "DON_GIA", "decimal(18,3)"),
        ("XML2", "SO_LUONG", "decimal(13,3)"),
        ("XML3", "TYLE_TT_DV", "decimal(5,2)"),
        ("XML2", "MUC_HUONG", "decimal(5,2)"),
        ("XML1", "STT", "long"),
        ("XML1", "SO_NGAY_DTRI", "int"),
        ("XML1", "GIOI_TINH", "string"),
        ("XML1", "NGAY_SINH", "string"),
    ],
)
def test_types_follow_the_rule(table, field, kind):
    assert tables()[table][field].kind == kind


def test_every_field_of_every_schema_says_what_it_is():
    silent = []
    for path in shipped("schemas").glob("*.avsc"):
        schema = json.loads(path.read_text("utf-8"))
        silent += [f"{path.name}: {field['name']}" for field in schema["fields"] if len(field.get("doc", "")) < 3]
        assert schema["doc"], path.name
    assert silent == []


def test_every_event_begins_with_meta_and_every_other_field_has_a_default_or_is_required_on_purpose():
    without = Counter()
    for path in shipped("schemas").glob("hie.*.avsc"):
        fields = json.loads(path.read_text("utf-8"))["fields"]
        if any(field["name"] == "meta" for field in fields):
            assert fields[0]["name"] == "meta", path.name
        without.update(field["name"] for field in fields if "default" not in field)
    assert set(without) <= {
        "meta", "person", "service", "code", "xml1", "xml13", "xml14", "revision", "claim_revision", "received_at", "source",
        "event_id", "facility", "key", "message_id", "at", "id", "ma_cskcb", "ma_lk",
    }  # fmt: skip
