"""Whose a number is, however its authority is written."""

import pytest

from adapters.dialects.issuers import issuer_of


@pytest.mark.parametrize(
    ("authority", "issuer"),
    [
        ("", "VN-CSKCB-01021"),
        ("01021", "VN-CSKCB-01021"),
        ("BVBM", "VN-CSKCB-01021"),
        ("KHO ", "VN-CSKCB-01021/KHO"),
        ("01021/KHO", "VN-CSKCB-01021/KHO"),
        ("VN-CSKCB-01021/KHO", "VN-CSKCB-01021/KHO"),
        ("VN-CSKCB-01021/VN-CSKCB-92901/BVN", "VN-CSKCB-92901/BVN"),
        ("VN-CSKCB-92901/BVN", "VN-CSKCB-92901/BVN"),
        ("vn-cskcb-92901/BVN", "VN-CSKCB-92901/BVN"),
        ("VN-CSKCB-92901/BVN ", "VN-CSKCB-92901/BVN"),
        ("92901/BVN", "VN-CSKCB-92901/BVN"),
        ("92901/KHU A/LAB2", "VN-CSKCB-92901/KHU A/LAB2"),
        (" vn-cskcb-92901", "VN-CSKCB-92901"),
        ("9290/BVN", "VN-CSKCB-01021/9290/BVN"),
    ],
)
def test_a_patient_number_names_its_facility(authority: str, issuer: str) -> None:
    assert issuer_of("MRN", authority, "01021", "BVBM") == issuer


def test_a_number_of_the_nation_has_the_nations_issuer() -> None:
    assert [issuer_of(kind, "BVBM", "01021", "") for kind in ("SDDCN", "BHYT_CARD", "PASSPORT")] == ["BCA", "VSS", "BVBM"]
