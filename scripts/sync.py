"""Check that persona_kit/ is what the notebooks export, and that the notebooks are clean; works on a copy, with or without git."""
import filecmp
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = ("settings.ini", "pyproject.toml", "setup.py", "README.md")


def differences(one: Path, two: Path) -> list[str]:
    "Names of files under two folders that are not the same in both."
    def names(folder: Path) -> set[str]:
        found = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
        return {str(p) for p in found if not {"__pycache__", ".ipynb_checkpoints", "runs"} & set(p.parts)}

    left, right = names(one), names(two)
    return sorted((left ^ right) | {n for n in left & right if not filecmp.cmp(one / n, two / n, shallow=False)})


def main() -> None:
    "Export and clean a copy of the tree, and compare."
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / ROOT.name
        copy.mkdir()
        for name in FILES:
            shutil.copy(ROOT / name, copy)
        for name in ("nbs", "persona_kit"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "runs"))
        for command in ("nbdev_export", "nbdev_clean"):
            done = subprocess.run([Path(sys.executable).parent / command], cwd=copy, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"{command} failed:\n{done.stderr}")
        changed = [f"{name}/{d}" for name in ("nbs", "persona_kit") for d in differences(ROOT / name, copy / name)]
        changed += [name for name in FILES if not filecmp.cmp(ROOT / name, copy / name, shallow=False)]
    if changed:
        raise SystemExit("not in sync with the notebooks, or not clean; run `make export`:\n  " + "\n  ".join(changed))
    print("notebooks and package are in sync")


if __name__ == "__main__":
    main()
