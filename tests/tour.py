"""The README's tour: its blocks of commands run by one bash after the other, and what each of them prints."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
SERVED_AT = "http://127.0.0.1:8000"
MARK = "-- next --"

BLOCK = re.compile(r"```sh\n(.*?)```\n(?:```text\n(.*?)```\n)?", re.S)
# What differs from run to run.
VARIES = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+Z|(?<![\w-])[\w-]{60,}")


def blocks() -> list[tuple[str, str]]:
    """Each block of commands, and the output shown below it."""
    tour = README.read_text("utf-8").partition("<!-- tour -->")[2].partition("<!-- end of the tour -->")[0]
    return BLOCK.findall(tour)


def printed(commands: list[str], address: str) -> list[str]:
    """What each block prints, with the service at `address`."""
    script = f"echo '{MARK}'\n".join(commands).replace(SERVED_AT, address)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["bash"], input=script, capture_output=True, text=True, check=False, cwd=folder)  # noqa: S607
    return (done.stdout + done.stderr).split(f"{MARK}\n")


def plain(text: str) -> str:
    return VARIES.sub("...", text)


def write(address: str) -> None:
    """Put what the commands really print into the README."""
    outputs = iter(printed([command for command, _ in blocks()], address))

    def with_output(block: re.Match[str]) -> str:
        output = next(outputs)
        return f"```sh\n{block[1]}```\n" + (f"```text\n{output}```\n" if output else "")

    head, start, rest = README.read_text("utf-8").partition("<!-- tour -->")
    tour, end, tail = rest.partition("<!-- end of the tour -->")
    README.write_text(head + start + BLOCK.sub(with_output, tour) + end + tail, "utf-8")


if __name__ == "__main__":
    write(sys.argv[1])
