"""Print requirement -> tests; fail where a requirement that is built has none."""

import re
import sys
from collections import defaultdict
from pathlib import Path

FOUNDATION = "M1 M2 M3 M4 M5 M8 M9 P2 P3 P5 P6 P7 C1 C2 C3 T1 T2 T3 G1 G2 L3 L4"
FINDINGS = "CRIT-ORM-001 CRIT-MIG-001 HIGH-ORM-002 HIGH-ORM-003 HIGH-REPO-001 MED-REPO-002 MED-TX-001"
LEARNING = "M7 P1 D1"
SECURITY = "L1"
FAULTS = "P4"
MIGRATIONS = "G3 G4 G5"
SPEED = "M6"
OPERATIONS = "C4 L2"
TRUST = "A1 A2 A4"
BUILT = " ".join((FOUNDATION, FINDINGS, LEARNING, SECURITY, FAULTS, MIGRATIONS, SPEED, OPERATIONS, TRUST)).split()

MARKED = re.compile(r"((?:@pytest\.mark\.requirement\([^)]*\)\s+)+)(?:@pytest[^\n]*\n)*(?:async )?def (test_\w+)")
TEST = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
WHOLE = re.compile(r"^pytestmark = (pytest\.mark\.requirement\([^)]*\))", re.MULTILINE)
ID = re.compile(r'"([A-Z0-9-]+)"')


def marked() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        told = file.read_text()
        whole = " ".join(WHOLE.findall(told))
        named = MARKED.findall(told) + [(whole, name) for name in TEST.findall(told) if whole]
        for marks, name in named:
            for requirement in ID.findall(marks):
                found[requirement].append(f"{file.name}::{name}")
    return found


def main() -> None:
    found = marked()
    for requirement in sorted(found):
        print(f"{requirement:14}", *found[requirement], sep="\n    ")  # noqa: T201
    missing = [requirement for requirement in BUILT if requirement not in found]
    if missing:
        sys.exit(f"Requirements without a test: {', '.join(missing)}")


if __name__ == "__main__":
    main()
