"""Message types that are read as another one is: that one has the golden messages, a test shows that the others give the same."""

from typing import Final

READ_AS: Final = {
    "ADT^A05": ("ADT^A14",),
    "ADT^A08": (
        *("ADT^A09", "ADT^A10", "ADT^A15", "ADT^A16", "ADT^A21", "ADT^A22", "ADT^A25", "ADT^A26", "ADT^A32", "ADT^A33"),
        *("ADT^A52", "ADT^A53", "ADT^A54", "ADT^A55", "ADT^A61", "ADT^A62"),
    ),
    "ADT^A11": ("ADT^A23", "ADT^A27", "ADT^A38"),
    "ADT^A40": (
        *("ADT^A18", "ADT^A30", "ADT^A34", "ADT^A35", "ADT^A36", "ADT^A39", "ADT^A41", "ADT^A42"),
        *("ADT^A46", "ADT^A47", "ADT^A48", "ADT^A49", "ADT^A50", "ADT^A51"),
    ),
    "ADT^A43": ("ADT^A44", "ADT^A45"),
    "RRI^I12": ("RRI^I14", "RRI^I15"),
    "SIU^S14": ("SIU^S18", "SIU^S19", "SIU^S20", "SIU^S21", "SIU^S22"),
    "SIU^S15": ("SIU^S16",),
    "OML^O33": ("OML^O35", "OML^O39"),
    "ORU^R01": ("ORU^R31", "ORU^R32", "ORU^R40"),
    "OUL^R22": ("OUL^R23",),
}
