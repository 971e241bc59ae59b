"""The sections of a profile: which record each one fills, with which fields, and what the values of its tables may name."""

from dataclasses import replace
from functools import cache
from typing import Any, Final

from adapters.dialects.transforms import CODE, DECIMAL, FLAG, LIST, TEXT, WHOLE, Gives, Transform, day
from hub.contract import records
from hub.contract.events import schema
from hub.contract.unnamed import ANSWERS

RECORDS: Final[dict[str, Any]] = {
    "person": records.Person,
    "guardian": records.Guardian,
    "allergy": records.Allergy,
    "diagnosis": records.Diagnosis,
    "procedure": records.Procedure,
    "registration": records.Registration,
    "encounter": records.Encounter,
    "order": records.LabOrder,
    "result": records.LabResult,
    "observation": records.Observation,
    "referral": records.Referral,
    "xml13": records.Xml13,
    "follow_up": records.FollowUp,
    "xml14": records.Xml14,
    "charge": records.Charge,
    "charge_line": records.ChargeLine,
    "prescription": records.Prescription,
    "prescription_line": records.PrescriptionLine,
    "prescription_part": records.PrescriptionPart,
    "document": records.Document,
    "catalogue": records.CatalogueChange,
    "practitioner": records.CatalogueChange,
    "location": records.CatalogueChange,
    "machine": records.CatalogueChange,
    "service": records.CatalogueChange,
    "price": records.CatalogueChange,
    "report": records.ResourceReport,
}
ONE_SEGMENT: Final = {  # sections that are read out of one segment at a time, which is all that their rules can name
    "guardian": {"NK1"},
    "allergy": {"AL1", "IAM"},
    "diagnosis": {"DG1"},
    "procedure": {"PR1"},
    "observation": {"OBX"},
    "prescription_part": {"RXC"},
}
_ITEMS: Final = frozenset({"ma_thuoc", "ma_dich_vu", "ma_vat_tu"})
_FIGURES: Final = frozenset(
    {f"{kind}.{of}" for kind in ("BED", "ICU_BED", "VENTILATOR", "STAFF") for of in ("total", "in_use", "free")}
)
CODED_AS: Final = {  # tables whose values are closed: official codes, states, names of fields of a record
    "sex": frozenset("123"),
    "care_form": frozenset(f"{number:02}" for number in range(1, 17)),
    "benefit_level": frozenset({"", "80", "95", "100"}),
    "discharge": frozenset(["", *"12345"]),
    "order_control": frozenset({"PLACED", "CHANGED", "CANCELLED", "HELD", *ANSWERS}),
    "result_status": frozenset("PFCX"),
    "referral_answer": frozenset({"ACCEPTED", "REJECTED"}),
    "referral_reason": frozenset("123"),
    "pham_vi": frozenset("123"),
    "charge_kind": frozenset({"CHARGE", "CREDIT", "PAYMENT", "ADJUSTMENT"}),
    "prescription_control": frozenset({"ISSUED", "CHANGED", "CANCELLED", "HELD"}),
    "master_file": frozenset({"ADDED", "UPDATED", "DEACTIVATED", "REACTIVATED", "DELETED"}),
    "item_system": _ITEMS,
    "item_group": _ITEMS,
    "resource": _FIGURES | {"ma_khoa", "speciality", "level"},
}
OFFICIAL: Final = {  # fields that take official codes, by whatever table they are looked up: lists of `seeds/standards/codes.csv`
    "matinh_cu_tru": ("PROVINCE_63", "PROVINCE_34"),
    "gioi_tinh": ("GIOI_TINH",),
    "ma_loai_kcb": ("MA_LOAI_KCB",),
    "ma_doituong_kcb": ("MA_DOITUONG_KCB", "MA_DOITUONG_KCB_824"),
    "ma_loai_rv": ("MA_LOAI_RV",),
    "ket_qua_dtri": ("KET_QUA_DTRI",),
    "ma_tai_nan": ("MA_TAI_NAN",),
    "ma_khuvuc": ("MA_KHUVUC",),
    "ma_lydo_ct": ("MA_LYDO_CT",),
    "ma_nhom": ("MA_NHOM",),
    "pham_vi": ("PHAM_VI",),
    "ma_pttt": ("MA_PTTT",),
}
DIGITS: Final = {
    "ma_dantoc": 2,
    "ma_quoctich": 3,
    "maxa_cu_tru": 5,
}  # official codes of which the hub has no list: how many digits
DAYS: Final = {  # fields that are a day (yyyymmdd) and never a time, whatever form of it a sender writes
    "encounter": frozenset({"slip_date", "nam_nam_lien_tuc", "ngay_mien_cct"}),
    "referral": frozenset({"issued_on", "expires_on"}),
    "xml13": frozenset({"gt_the_den"}),
    "xml14": frozenset({"gt_the_den", "ngay_ct"}),
    "practitioner": frozenset({"licence_to", "valid_from", "valid_to"}),
    "machine": frozenset({"valid_from", "valid_to"}),
    "price": frozenset({"valid_from", "valid_to"}),
}
READ_BY_NAME: Final = frozenset({"nationality", "death", "times_a_day", "confidentiality"})  # tables of `_standard` beside them
FOR_PROFILES: Final = frozenset({"province_names", "ethnic_names"})  # tables of it that rules of other profiles may name
_ONE_AT_A_TIME: Final = {("order", "services"): CODE}  # lists that a rule gives one item of, for each OBR
NOT_BY_RULE: Final = {  # fields that one might want to write a rule for, and what says it instead
    (
        "observation",
        "number",
    ): 'it follows from OBX-2 and OBX-5; what a comma in it means is said by `comma = "decimal"` (9,8) or `comma = '
    '"thousands"` (1,234), a line before the first [section]',
    ("person", "identifiers"): "[identifiers] says where numbers and cards stand",
}
_PLAIN: Final = {"string": TEXT, "boolean": FLAG, "int": WHOLE}


@cache
def fields_of(section: str) -> dict[str, Gives]:
    """Every field that a rule of this section may fill, with the kind of value it takes: those of the record's schema, but for
    records and lists of records, which mapping makes itself, and binary fractions (the number of a result line)."""
    name = RECORDS[section].__name__
    avro = schema(f"hie.claim.{name}" if name.startswith("Xml") else f"hie.{name}")
    kinds = ((field["name"], _ONE_AT_A_TIME.get((section, field["name"])) or _takes(field["type"])) for field in avro["fields"])
    return {name: kind for name, kind in kinds if kind is not None}


def transform_of(section: str, name: str, transform: Transform) -> Transform:
    """The transform as this field wants it: of a time its day alone, where the field is a day."""
    a_day = name in DAYS.get(section, ()) and transform.problem == "TIME_UNPARSABLE" and transform.function is not day
    return _its_day(transform) if a_day else transform


@cache
def _its_day(transform: Transform) -> Transform:
    convert = transform.function

    def read(value: str) -> str | None:
        found = convert(value)
        return day(found) if found else None

    return replace(transform, function=read)


def _takes(avro: Any) -> Gives | None:
    if isinstance(avro, list):
        return _takes(next(each for each in avro if each != "null"))
    if isinstance(avro, str):
        return CODE if avro == "hie.Code" else _PLAIN.get(avro)
    if avro.get("logicalType") == "decimal":
        return Gives(DECIMAL, avro["precision"], avro["scale"])
    if avro["type"] == "array":
        return LIST if avro["items"] == "string" else None
    return CODE if avro.get("name") in ("Code", "hie.Code") else None
