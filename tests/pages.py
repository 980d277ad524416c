"""The pages for people: what is to be typed in each, run by one bash in an empty folder, and what it prints.

In a page, `sh` is a block of commands, `python NAME` a file to be saved under that name, and `text` right below either
is what it prints. What cannot be run against the demo course is `console`. `python tests/pages.py ADDRESS` writes
what is printed into the pages; the demo course there must be new.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SERVED_AT = "http://127.0.0.1:8000"
MARK = "-- next --"

BLOCK = re.compile(r"^(```(?:sh|python (\S+))\n)(.*?)```\n(?:```text\n(.*?)```\n)?", re.MULTILINE | re.DOTALL)
# What differs from run to run.
VARIES = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{32}\b|\d{4}-\d\d-\d\dT[\d:.]+Z|(?<![\w-])[\w-]{60,}"
)


def typed(block: re.Match[str]) -> str:
    """The commands of a block; those of a file save it."""
    return f"cat > {block[2]} << 'END OF FILE'\n{block[3]}END OF FILE\n" if block[2] else block[3]


def blocks(page: Path) -> list[tuple[str, str]]:
    """The commands of each block, and the output shown below it."""
    return [(typed(block), block[4] or "") for block in BLOCK.finditer(page.read_text("utf-8"))]


def printed(page: Path, address: str) -> list[str]:
    """What each block prints, with the service at `address`."""
    script = f"echo '{MARK}'\n".join(commands for commands, _ in blocks(page)).replace(SERVED_AT, address)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["bash"], input=script, capture_output=True, text=True, check=False, cwd=folder)  # noqa: S607
    return (done.stdout + done.stderr).split(f"{MARK}\n")


def plain(text: str) -> str:
    return VARIES.sub("...", text)


def write(page: Path, address: str) -> None:
    """Put what the commands really print into the page."""
    outputs = iter(printed(page, address))

    def with_output(block: re.Match[str]) -> str:
        output = next(outputs)
        if plain(output) == plain(block[4] or ""):
            return block[0]
        return f"{block[1]}{block[3]}```\n" + (f"```text\n{output}```\n" if output else "")

    page.write_text(BLOCK.sub(with_output, page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    for one in PAGES:
        if blocks(one):
            write(one, sys.argv[1])
