"""Build data/geo: outlines of the states and a grid of tiles.

    python data/build_geo.py SOURCE_FOLDER

SOURCE_FOLDER holds `geo/us_states_albers_500k.topojson`: the cartographic boundary file cb_2023 of the US Census Bureau
(public domain) in an Albers projection with Alaska and Hawaii inset, as kept by tonmcg/US_County_Level_Election_Results_08-24.

Writes `us_states.json`: for each postal code the `rings` (flat lists x, y, x, y … in whole kilometres of the projection,
open), a `label` point inside the largest ring, and a `callout` point for states too small to hold their own label.
Borders are simplified arc by arc, so that neighbours still share theirs. Islands below `SMALLEST_ISLAND` are dropped.

Writes `us_tiles.csv`: one cell (row, col) per state, laid out in `TILES` below so that neighbours stay near each other.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from persona_kit.tables import STATES

OUT = Path(__file__).resolve().parent / "geo"
TOLERANCE = 2.0  # km: no removed point lay farther from the line that replaces it
SMALLEST_ISLAND = 250.0  # km², except where it is the largest part of its state
LARGEST = 120_000  # bytes
LETTERS = 1.6  # a two-letter label is this much wider than high

TILES = """
AK .  .  .  .  .  .  .  .  .  .  ME
.  .  .  .  .  .  .  .  .  .  VT NH
.  WA ID MT ND MN WI MI .  NY MA RI
.  OR NV WY SD IA IL IN OH PA NJ CT
.  CA UT CO NE MO KY WV VA MD DE .
.  .  AZ NM KS AR TN NC SC DC .  .
.  .  .  .  OK LA MS AL GA .  .  .
HI .  .  .  TX .  .  .  .  FL .  .
"""
CALLOUTS = {
    "VT": (1690, 1200), "NH": (1820, 1290), "MA": (2270, 850), "RI": (2270, 740), "CT": (2270, 630), "NJ": (2100, 500),
    "DE": (2100, 390), "MD": (2100, 280), "DC": (2100, 170), "HI": (-1130, -1200),
}
FIPS = {
    1: "AL", 2: "AK", 4: "AZ", 5: "AR", 6: "CA", 8: "CO", 9: "CT", 10: "DE", 11: "DC", 12: "FL", 13: "GA", 15: "HI", 16: "ID", 17: "IL",
    18: "IN", 19: "IA", 20: "KS", 21: "KY", 22: "LA", 23: "ME", 24: "MD", 25: "MA", 26: "MI", 27: "MN", 28: "MS", 29: "MO", 30: "MT",
    31: "NE", 32: "NV", 33: "NH", 34: "NJ", 35: "NM", 36: "NY", 37: "NC", 38: "ND", 39: "OH", 40: "OK", 41: "OR", 42: "PA", 44: "RI",
    45: "SC", 46: "SD", 47: "TN", 48: "TX", 49: "UT", 50: "VT", 51: "VA", 53: "WA", 54: "WV", 55: "WI", 56: "WY",
}


def distances(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    "Distance of each point (rows) from each segment (columns)."
    along = end - start
    length = np.maximum((along**2).sum(-1), 1e-12)
    offset = points[:, None] - start[None]
    t = np.clip((offset * along).sum(-1) / length, 0, 1)
    return np.hypot(*np.moveaxis(offset - t[..., None] * along, -1, 0))


def simplified(line: np.ndarray) -> np.ndarray:
    "Douglas and Peucker's line; a closed line is cut at its farthest point first, so that it cannot vanish."
    if len(line) < 3:
        return line
    if np.array_equal(line[0], line[-1]):
        cut = int(np.argmax(((line - line[0]) ** 2).sum(1)))
        return np.concatenate([simplified(line[: cut + 1])[:-1], simplified(line[cut:])])
    off = distances(line[1:-1], line[:1], line[-1:])[:, 0]
    cut = int(np.argmax(off)) + 1
    if off[cut - 1] <= TOLERANCE:
        return line[[0, -1]]
    return np.concatenate([simplified(line[: cut + 1])[:-1], simplified(line[cut:])])


def decoded(topology: dict) -> list[np.ndarray]:
    "The arcs in kilometres, simplified."
    scale, shift = (np.array(topology["transform"][k]) for k in ("scale", "translate"))
    return [simplified((np.cumsum(arc, axis=0) * scale + shift) / 1000) for arc in topology["arcs"]]


def ring(arcs: list[np.ndarray], numbers: list[int]) -> np.ndarray:
    "One closed outline from arc numbers; a negative number is an arc walked backwards."
    parts = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in numbers]
    return np.concatenate([part[:-1] for part in parts])


def area(points: np.ndarray) -> float:
    x, y = points.T
    return abs(float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))) / 2


def inside(points: np.ndarray, outline: np.ndarray) -> np.ndarray:
    "Which points lie in the outline (even-odd rule)."
    (x1, y1), (x2, y2) = outline.T, np.roll(outline, -1, axis=0).T
    x, y = points[:, :1], points[:, 1:]
    crosses = (y1 > y) != (y2 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        right = x < (x2 - x1) * (y - y1) / (y2 - y1) + x1
    return (crosses & right).sum(1) % 2 == 1


def label_point(outline: np.ndarray) -> np.ndarray:
    "The inner point farthest from the border, in letters' own proportions: room for a label that is wider than high."
    stretch = np.array([1.0, LETTERS])
    line = outline * stretch
    low, high = line.min(0), line.max(0)
    best = line.mean(0)
    for _ in range(4):
        grid = np.stack(np.meshgrid(*np.linspace(low, high, 41).T), -1).reshape(-1, 2)
        room = np.where(inside(grid, line), distances(grid, line, np.roll(line, -1, axis=0)).min(1), -1)
        best, half = grid[int(np.argmax(room))], (high - low) / 16
        low, high = best - half, best + half
    return best / stretch


def states(topology: dict) -> dict[str, dict]:
    "Outlines and label points by postal code."
    arcs, table = decoded(topology), {}
    for shape in topology["objects"]["state"]["geometries"]:
        polygons = [shape["arcs"]] if shape["type"] == "Polygon" else shape["arcs"]
        rings = sorted((ring(arcs, polygon[0]) for polygon in polygons), key=area, reverse=True)
        code = FIPS[int(shape["id"])]
        kept = rings[:1] + [r for r in rings[1:] if area(r) >= SMALLEST_ISLAND]
        table[code] = {"label": label_point(rings[0]).round().astype(int).tolist()}
        if code in CALLOUTS:
            table[code]["callout"] = list(CALLOUTS[code])
        table[code]["rings"] = [r.round().astype(int).ravel().tolist() for r in kept]
    return {code: table[code] for code in sorted(table)}


def tiles() -> pd.DataFrame:
    "The grid as a table."
    rows = [line.split() for line in TILES.strip().splitlines()]
    cells = [(code, r, c) for r, line in enumerate(rows) for c, code in enumerate(line) if code != "."]
    return pd.DataFrame(sorted(cells), columns=["state", "row", "col"])


def check(shapes: dict[str, dict], grid: pd.DataFrame, text: str) -> None:
    "Stop if a state is absent or repeated, has lost its shape, or the file has grown too large."
    if list(shapes) != sorted(STATES) or list(grid["state"]) != sorted(STATES) or grid.duplicated(["row", "col"]).any():
        raise SystemExit("outlines and tiles must hold each of the 51 states once, on cells of their own")
    thin = [code for code, shape in shapes.items() if min(map(len, shape["rings"])) < 6]
    if thin or len(text.encode()) > LARGEST:
        raise SystemExit(f"collapsed outlines: {thin}; {len(text.encode())} bytes (at most {LARGEST})")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python data/build_geo.py SOURCE_FOLDER")
    source = json.loads((Path(sys.argv[1]) / "geo" / "us_states_albers_500k.topojson").read_text(encoding="utf-8"))
    outlines, cells = states(source), tiles()
    lines = ",\n".join(f'"{code}":{json.dumps(shape, separators=(",", ":"))}' for code, shape in outlines.items())
    check(outlines, cells, lines)
    OUT.mkdir(exist_ok=True)
    (OUT / "us_states.json").write_text("{\n" + lines + "\n}\n", encoding="utf-8", newline="\n")
    cells.to_csv(OUT / "us_tiles.csv", index=False, lineterminator="\n")
