"""Messages that the tests of this folder share, and where the messages of others lie when they are at hand."""

from collections.abc import Iterator
from pathlib import Path

ORU = (
    "MSH|^~\\&|LIS|01004|HIE|HUB|20261015081530+0700||ORU^R01^ORU_R01|C1|P|2.5.1\r"
    "PID|1||MR1^^^01004^MR~001085012345^^^BCA^NI||MAU^AN^THI||19850312|F\r"
    "PV1|1|O|LAB^A2\r"
    "ORC|RE|ORD1|LAB1||CM\r"
    "OBR|1|ORD1|LAB1|CMP^Panel^L|||20261015073000+0700\r"
    "OBX|1|NM|14749-6^Glucose^LN||5.4|mmol/L|3.9-6.1|N|||F\r"
    "NTE|1||fasting\r"
    "OBX|2|NM|22664-7^Urea^LN||6.1|mmol/L|2.5-7.5|N|||F\r"
    "OBR|2|ORD1|LAB2|CBC^Count^L|||20261015073000+0700\r"
    "OBX|1|ST|718-7^Hb^LN||131|g/L|||||F\r"
)

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
NO_CORPUS = "the messages written by others (../shared/corpus) are not at hand"


def corpus() -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every file of the corpus."""
    for line in sorted({row.split("\t")[0] for row in (CORPUS / "INDEX.tsv").read_text(encoding="utf-8").split("\n")[1:] if row}):
        yield line, (CORPUS / line).read_bytes()
