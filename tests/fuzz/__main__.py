"""Coverage-guided fuzzing: `python -m tests.fuzz [TARGET …] --seconds 600`.

Each target runs in a process of its own, as libFuzzer ends the one it runs in. What it learns is kept in `.fuzz/` and is where
the next run begins; an input that breaks an invariant is written to `.fuzz/<target>/broken-…` and fails the run: mend the code,
then move the input to `found/<target>/`, where the suite tries it for ever.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["adapters"]):
    from tests.fuzz.targets import HANGS, LONGEST, TARGETS, within

ROOT = Path(__file__).parents[2]
WORK = ROOT / ".fuzz"
LARGEST_BYTES = 4096

# Words that mean something to the readers: libFuzzer puts them in, so that it need not guess them byte by byte.
WORDS = {
    "framer": ["\x0b", "\x1c\r", "\x1c", "\r", "\n", "\0", "MSH|", "PID|"],
    "reader": [
        *(
            "MSH|^~\\&|",
            "\r",
            "\n",
            "\r\n",
            "\ufeff",
            "PID|1||",
            "OBX|1|NM|",
            "OBR|1|",
            "ORC|RE|",
            "ZIN|",
            "FHS|",
            "BHS|",
            "BTS|1",
            "FTS|1",
        ),
        *("|2.5.1", "|2.3.1", "|2.7", "|AL|AL", "|NE|", "ORU^R01", "ADT^A01", "REF^I12", "SIU^S12", "DFT^P03", "EHC^E01", "|T|"),
        *('""', "\\F\\", "\\X0D\\", "\\.br\\", "\\.sp+2\\", "\\H\\", "~", "^", "&", "20261015081530+0700"),
    ],
    "charset": ["MSH|^~\\&|", "|UNICODE UTF-8\r", "|8859/1\r", "Nguy\u1ec5n", "\ufeff", "\r", "\u0323"],
    "xml": [
        *("<GIAMDINHHS>", "</GIAMDINHHS>", "<THONGTINDONVI><MACSKCB>01004</MACSKCB></THONGTINDONVI>", "<HOSO>", "</HOSO>"),
        *("<FILEHOSO>", "</FILEHOSO>", "<LOAIHOSO>XML1</LOAIHOSO>", "<NOIDUNGFILE>", "</NOIDUNGFILE>", "<MA_LK>1</MA_LK>"),
        *(
            "<TONG_HOP>",
            "</TONG_HOP>",
            "<!DOCTYPE a [",
            "<!ENTITY",
            "&lt;",
            "<![CDATA[",
            "]]>",
            "<?xml version='1.0'?>",
            " xmlns='a'",
        ),
    ],
}


def _seeds(target: str, folder: Path) -> None:
    """The goldens, in the form the target reads: the framer's framed and with its own first bytes, and so on."""
    found = sorted((ROOT / "seeds" / "messages").rglob("*.xml" if target == "xml" else "*.hl7"))
    before, after = {
        "framer": (b"\xff\x20\x60\xa0\xc0\x0b", b"\x1c\r"),
        "charset": (b"\0\0", b""),
        "xml": (b"\x20\x60\xa0\xc0", b""),
    }.get(target, (b"", b""))
    for path in found:
        (folder / f"seed-{path.parent.name}-{path.stem}").write_bytes(before + path.read_bytes()[:LARGEST_BYTES] + after)
    for path in (Path(__file__).parent / "found" / target).glob("*"):
        (folder / path.name).write_bytes(path.read_bytes())


def _run(target: str, seconds: int) -> None:
    """Does not return: libFuzzer ends the process."""
    learnt = WORK / target / "corpus"
    learnt.mkdir(parents=True, exist_ok=True)
    _seeds(target, learnt)
    words = WORK / target / "words"
    words.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word.encode()) + '"\n' for word in WORDS[target]))
    options = (
        f"-max_total_time={seconds}",
        f"-max_len={LARGEST_BYTES}",
        f"-timeout={int(HANGS.total_seconds())}",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={WORK / target}/broken-",
        f"-dict={words}",
        "-print_final_stats=1",
        "-verbosity=1",
    )
    atheris.Setup([sys.argv[0], *options, str(learnt)], within(LONGEST, TARGETS[target]))
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="all when none is named")
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.here:
        _run(asked.targets[0], asked.seconds)
    broken = [
        target
        for target in asked.targets or TARGETS
        if subprocess.run(
            [sys.executable, "-m", "tests.fuzz", target, "--here", "--seconds", str(asked.seconds)], cwd=ROOT
        ).returncode
    ]
    print("broken: " + ", ".join(broken) if broken else "nothing broke")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
