"""Keep the table of data/README.md true: rows and checksums of every shipped file.

    python data/checksums.py            write the columns `rows` and `sha256` anew
    python data/checksums.py --check    change nothing; stop if the table or a file is out of date

To add a file, put it into data/, add a line to the table with the file, what it is, its source and licence and its script
(rows and sha256 may be left as -), and run this script. A line whose file ends in / stands for all files of that folder:
its rows are the number of files, its checksum is that of their names and checksums. Scripts (.py) and the README need no line.
"""

import gzip
import hashlib
import json
import lzma
import sys
from pathlib import Path

import numpy as np
import pandas as pd

DATA = Path(__file__).resolve().parent
README = DATA / "README.md"
HEADER = ["file", "what", "source, producer, licence", "rows", "sha256", "script"]
DIGITS = 16


def members(name: str, data: Path = DATA) -> list[Path]:
    "The files that a line stands for."
    if not name.endswith("/"):
        return [data / name] if (data / name).is_file() else []
    return sorted(p for p in (data / name).rglob("*") if p.is_file() and not p.name.startswith("."))


def digest(name: str, data: Path = DATA) -> str:
    "The first digits of the SHA-256 of a file, or of the names and checksums in a folder."
    files = members(name, data)
    if not name.endswith("/"):
        return hashlib.sha256(files[0].read_bytes()).hexdigest()[:DIGITS]
    lines = [f"{p.relative_to(data).as_posix()} {hashlib.sha256(p.read_bytes()).hexdigest()}\n" for p in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:DIGITS]


def rows(name: str, data: Path = DATA) -> str:
    "Rows of a table, tables of an archive, entries of a JSON file, lines of a text, files of a folder."
    if name.endswith("/"):
        return f"{len(members(name, data))} files"
    path = data / name
    if name.endswith(".parquet"):
        return f"{len(pd.read_parquet(path)):,}"
    if name.endswith((".csv", ".csv.gz")):
        return f"{len(pd.read_csv(path)):,}"
    if name.endswith(".json"):
        return f"{len(json.loads(path.read_text(encoding='utf-8'))):,}"
    if name.endswith(".npz"):
        with np.load(path, allow_pickle=False) as file:
            return f"{len(file.files)} tables"
    reader = gzip.open if name.endswith(".gz") else lzma.open if name.endswith(".xz") else open
    with reader(path, "rb") as file:
        return f"{sum(1 for _ in file):,}"


def table(text: str) -> dict[int, list[str]]:
    "Line number to cells, for the lines of the table of files."
    lines = text.splitlines()
    split = {i: [c.strip() for c in line.strip().strip("|").split("|")] for i, line in enumerate(lines) if line.startswith("|")}
    start = [i for i, cells in split.items() if cells == HEADER]
    if not start:
        raise SystemExit(f"{README.name}: no table with the columns {', '.join(HEADER)}")
    inside = {}
    for i in range(start[0] + 2, len(lines)):
        if i not in split:
            break
        if len(split[i]) != len(HEADER):
            raise SystemExit(f"{README.name}, line {i + 1}: {len(split[i])} cells instead of {len(HEADER)}")
        inside[i] = split[i]
    return inside


def refresh(text: str, data: Path = DATA) -> tuple[str, list[str]]:
    "The README with true rows and checksums, and what was wrong with the one given."
    lines, wrong, known = text.splitlines(), [], set()
    for i, cells in table(text).items():
        name = cells[0].strip("`")
        if not members(name, data):
            wrong.append(f"{name}: in the table, but not in data/")
            continue
        known |= set(members(name, data))
        fresh = [rows(name, data), f"`{digest(name, data)}`"]
        if cells[3:5] != fresh:
            wrong.append(f"{name}: the table says {cells[3]} and {cells[4]}, the file has {fresh[0]} and {fresh[1]}")
        lines[i] = "| " + " | ".join([*cells[:3], *fresh, cells[5]]) + " |"
    for path in sorted(data.rglob("*")):
        shipped = path.is_file() and path not in known and not path.name.startswith(".") and "__pycache__" not in path.parts
        if shipped and path.suffix != ".py" and path != data / README.name:
            wrong.append(f"{path.relative_to(data).as_posix()}: in data/, but not in the table")
    return "\n".join(lines) + "\n", wrong


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--check"]):
        raise SystemExit("usage: python data/checksums.py [--check]")
    before = README.read_text(encoding="utf-8")
    after, problems = refresh(before)
    if sys.argv[1:] == ["--check"]:
        if problems:
            raise SystemExit("\n".join([*problems, "run: python data/checksums.py (after adding or removing lines)"]))
    else:
        README.write_text(after, encoding="utf-8")
        lasting = [p for p in problems if "the table says" not in p]
        if lasting:
            raise SystemExit("\n".join(lasting))
