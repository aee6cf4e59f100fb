"The wheel, installed into an empty environment: it imports quickly, needs no notebook tools, and finds its data."

import json
import os
import re
import statistics
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK_TOOLS = ("nbdev", "fastcore", "execnb", "IPython", "ipykernel", "jupyterlab", "jupyter_client", "papermill", "nbconvert")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy, so that nothing is built in the tree
    source.mkdir()
    for name in (
        "settings.ini",
        "setup.py",
        "pyproject.toml",
        "MANIFEST.in",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "persona_kit",
        "data",
        "nbs",
    ):
        if (ROOT / name).exists():
            subprocess.run(["cp", "-r", str(ROOT / name), str(source)], check=True)
    build = subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(source)], capture_output=True, text=True)
    assert build.returncode == 0, build.stdout[-3000:] + build.stderr[-3000:]
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    "An interpreter with the wheel, its core requirements and nothing else."
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder / "env", with_pip=True)
    path = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = subprocess.run(
        [str(path), "-m", "pip", "install", "-q", "--no-compile", "--retries", "10", str(wheel)], capture_output=True, text=True
    )
    assert pip.returncode == 0, pip.stderr[-3000:]
    return path


def call(python, code, folder, **variables):
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")} | variables
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, cwd=folder, env=environment)


def told(python, code, folder):
    done = call(python, "import json\n" + code, folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_wheel_holds_code_data_and_experiments(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for part in ("persona_kit/tables.py", "persona_kit/runs.py", "persona_kit/data/", "persona_kit/data/prompts/"):
        assert any(n.startswith(part) for n in names), part
    shipped = {p.name for p in (ROOT / "nbs" / "experiments").glob("*.ipynb")}
    assert {Path(n).name for n in names if n.startswith("persona_kit/experiments/")} == shipped
    data = {p.relative_to(ROOT / "data").as_posix() for p in (ROOT / "data").rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    held = {n.removeprefix("persona_kit/data/") for n in names if n.startswith("persona_kit/data/")}
    assert {d for d in data if not Path(d).name.startswith(".")} <= held
    assert not [n for n in names if n.startswith(("tests", "nbs", "scripts")) or "__pycache__" in n]


def test_no_exported_module_names_a_notebook_tool_at_its_top():
    for path in (ROOT / "persona_kit").glob("*.py"):
        for line in path.read_text().splitlines():
            assert not line.startswith(tuple(f"{w} {t}" for w in ("import", "from") for t in NOTEBOOK_TOOLS)), f"{path.name}: {line}"


def test_it_imports_within_half_a_second(python, tmp_path):
    code = "import time; t = time.perf_counter(); import persona_kit; print(json.dumps(time.perf_counter() - t))"
    told(python, code, tmp_path)  # the first one writes the byte code
    assert statistics.median(told(python, code, tmp_path) for _ in range(3)) < 0.5


def test_no_notebook_tool_is_there_and_all_names_resolve(python, tmp_path):
    code = f"""
import importlib.util, sys, persona_kit
tools = {NOTEBOOK_TOOLS}
unresolved = [n for n in persona_kit.__all__ if getattr(persona_kit, n) is None]
loaded = [m for m in sys.modules if m.split('.')[0] in tools]
print(json.dumps([[t for t in tools if importlib.util.find_spec(t)], unresolved, loaded]))
"""
    assert told(python, code, tmp_path) == [[], [], []]


def test_a_sample_needs_only_what_is_shipped(python, tmp_path):
    code = """
from persona_kit import us_adults
people = us_adults().sample(per_state=2, seed=1)
print(json.dumps([len(people), people.persona_id.nunique()]))
"""
    assert told(python, code, tmp_path) == [102, 102]


def test_the_command_works_and_says_what_a_run_needs(python, tmp_path):
    command = python.with_name("persona-kit" + (".exe" if os.name == "nt" else ""))
    listed = subprocess.run([str(command), "list"], capture_output=True, text=True, cwd=tmp_path)
    assert listed.returncode == 0 and listed.stdout.startswith("name"), listed.stderr
    names = [p.stem for p in sorted((ROOT / "nbs" / "experiments").glob("*.ipynb"))]
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:]] == names
    for name in names:
        shown = subprocess.run([str(command), "params", name], capture_output=True, text=True, cwd=tmp_path)
        assert shown.returncode == 0 and "seed" in shown.stdout, shown.stderr
        ran = subprocess.run([str(command), "run", name], capture_output=True, text=True, cwd=tmp_path)
        assert (
            ran.returncode == 1
            and 'pip install "persona_kit[lab]"' in ran.stderr
            and "Traceback" not in ran.stderr
            and not list(tmp_path.iterdir())
        )


def test_the_readme_lists_every_module_and_links_to_files_that_are_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[\w+\]\(nbs/(\w+)\.ipynb\) \| `(\w+)` \|", text, flags=re.M)
    notebooks = sorted(p.stem for p in (ROOT / "nbs").glob("[0-9]*.ipynb"))
    assert [name for name, _ in rows] == notebooks
    assert [module for _, module in rows] == [name.partition("_")[2] for name in notebooks]
    links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", text)
    assert [link for link in links if not (ROOT / link).exists()] == [] and len(links) > len(rows)
