"""The sections of a profile: which record each one fills, and what the values of its tables may name."""

from decimal import Decimal
from typing import Any, Final

from hub.contract import records

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
NUMBERS: Final = (Decimal | None, int | None)  # types of fields that need a transform for numbers
_ITEMS: Final = frozenset({"ma_thuoc", "ma_dich_vu", "ma_vat_tu"})
_FIGURES: Final = frozenset(
    {f"{kind}.{of}" for kind in ("BED", "ICU_BED", "VENTILATOR", "STAFF") for of in ("total", "in_use", "free")}
)
CODED_AS: Final = {  # tables whose values are closed: official codes, states, names of fields of a record
    "sex": frozenset("123"),
    "care_form": frozenset(f"{number:02}" for number in range(1, 17)),
    "benefit_level": frozenset({"80", "95", "100"}),
    "discharge": frozenset(["", *"12345"]),
    "order_control": frozenset({"PLACED", "CHANGED", "CANCELLED", "HELD"}),
    "result_status": frozenset("PFCX"),
    "referral_answer": frozenset({"ACCEPTED", "REJECTED"}),
    "charge_kind": frozenset({"CHARGE", "CREDIT", "PAYMENT", "ADJUSTMENT"}),
    "prescription_control": frozenset({"ISSUED", "CHANGED", "CANCELLED", "HELD"}),
    "master_file": frozenset({"ADDED", "UPDATED", "DEACTIVATED", "REACTIVATED", "DELETED"}),
    "item_system": _ITEMS,
    "item_group": _ITEMS,
    "resource": _FIGURES | {"ma_khoa", "speciality", "level"},
}
