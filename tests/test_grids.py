"Grids: every combination is run or said not to be, nothing is run twice, and two grids in one folder share the work."

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from persona_kit.grids import _axes, _claimed, grid
from persona_kit.runs import main

pytest.importorskip("papermill")
PARAMETERS = """n: int = 3  # how many, at least 0
mode: str = "choice"  # one of choice, reason: how people are asked
states: list[str] = ["CA", "NY"]  # any of persona_kit.STATES: where
api_key: str = "none"  # its key"""
WORK = """import os, pathlib, pandas as pd
from persona_kit.runs import record
with open(os.environ["GRID_LOG"], "a") as log:
    log.write(f"{n} {mode}\\n")
record(pd.DataFrame({"mode": mode, "n": [n, n + 1], "half": [n / 2, 10 / n]}), "summary");"""
SLOW = """import os, pathlib, time
pathlib.Path(os.environ["GRID_LOG"]).with_name(f"begun-{n}").write_text(str(os.getpid()))
time.sleep(60 if n > 1 and not pathlib.Path(os.environ["GRID_LOG"]).with_name("quick").exists() else 0)"""


def notebook(path: Path, *cells: str) -> Path:
    made = [nbformat.v4.new_markdown_cell("# A title\n\n> A question"), nbformat.v4.new_code_cell(PARAMETERS)]
    made[1].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=[*made, *map(nbformat.v4.new_code_cell, cells)]), path)
    return path


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv("GRID_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def test_a_failing_cell_is_a_row_and_nothing_is_run_twice(tmp_path, log, capfd):
    source = notebook(tmp_path / "small.ipynb", WORK)
    wanted = {"n": [0, 1, 2], "mode": ["choice", "reason"], "states": ["CA"]}
    table = grid(source, wanted, out=tmp_path / "grid")
    assert table["cell"].tolist() == [1, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    failed = table[table["status"].eq("failed")]
    assert failed["n"].tolist() == [0, 0] and failed["error"].str.contains("ZeroDivisionError: division by zero").all()
    fine = table[table["status"].eq("ok")]
    assert fine["mode"].tolist() == ["choice"] * 2 + ["reason"] * 2 + ["choice"] * 2 + ["reason"] * 2 and "mode_result" not in table
    assert fine["n_result"].tolist() == [1, 2, 1, 2, 2, 3, 2, 3] and fine["half"].tolist()[:2] == [0.5, 10.0]
    assert all(json.loads((Path(f) / "manifest.json").read_text())["parameters"]["states"] == ["CA"] for f in fine["folder"])
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 6 and sum("failed" in line for line in lines) == 2 and all(re.match(r"\[\d/6\] n=\d mode=", x) for x in lines)
    pd.testing.assert_frame_equal(pd.read_csv(table.attrs["path"]), table, check_dtype=False)

    assert len(log.read_text().splitlines()) == 6
    again = grid(source, wanted, out=tmp_path / "grid")
    assert len(log.read_text().splitlines()) == 8, "only the failed cells are tried again"
    pd.testing.assert_frame_equal(again[again["status"].eq("ok")], fine)
    assert capfd.readouterr().err.count("there already") == 4

    grid(source, wanted | {"states": ["NY"]}, out=tmp_path / "grid", progress=False)
    assert len(log.read_text().splitlines()) == 14, "another value of a parameter that does not vary is another cell"
    notebook(source, WORK + "\n")
    grid(source, {"n": [1], "mode": ["choice"], "states": ["CA"]}, out=tmp_path / "grid", progress=False)
    assert len(log.read_text().splitlines()) == 15, "another notebook is another cell"


def test_prices_stand_in_the_manifest_of_each_cell(tmp_path, log, capsys):
    source = notebook(tmp_path / "small.ipynb", WORK)
    assert main(["grid", str(source), "-y", "{n: [1, 2], states: [CA]}", "--out", str(tmp_path / "g"), "--prices", "[0.15, 0.6]"]) == 0
    paid = [json.loads(f.read_text())["prices"] for f in (tmp_path / "g").glob("*/manifest.json")]
    assert paid == [[0.15, 0.6]] * 2
    with pytest.raises(ValueError, match="prices must be two numbers"):
        grid(source, {"n": [1, 2]}, out=tmp_path / "other", prices=[1])
    assert not (tmp_path / "other").exists()


def test_lists_of_a_list_parameter_hold_for_all_cells(tmp_path):
    source = notebook(tmp_path / "small.ipynb")
    assert _axes(source, {"states": ["CA"], "n": [1]}) == ({"n": [1]}, {"states": ["CA"]})
    assert _axes(source, {"states": [["CA"], ["NY"]], "n": 1}) == ({"states": [["CA"], ["NY"]]}, {"n": 1})


@pytest.mark.parametrize("given, said", [
    ({"m": [1]}, "no parameter 'm'"), ({"mdoe": ["choice"]}, "did you mean 'mode'"),
    ({"n": [1, "2"]}, "n must be int, got str '2'"),
    ({"n": [1, -2], "mode": ["reason", "x"]}, "at least 0"), ({"n": [1, 1]}, "1 is named twice"),
    ({"n": []}, "the list of values is empty"),
    ({"states": [["CA"], ["XX"]]}, "'XX' is not one of")])  # fmt: skip
def test_bad_parameters_are_refused_before_anything_starts(tmp_path, given, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        grid(notebook(tmp_path / "small.ipynb"), given, out=tmp_path / "grid")
    assert not (tmp_path / "grid").exists()


def test_no_workers_and_no_room(tmp_path):
    source = notebook(tmp_path / "small.ipynb", "1")
    with pytest.raises(ValueError, match="workers must be at least 1"):
        grid(source, {"n": [1]}, out=tmp_path / "grid", workers=0)
    first = grid(source, {"n": [1]}, out=tmp_path / "grid", progress=False)
    folder = Path(first["folder"].iloc[0])
    (folder / "manifest.json").unlink()
    table = grid(source, {"n": [1]}, out=tmp_path / "grid", progress=False)
    assert table["status"].tolist() == ["failed"] and "is no cell of a grid" in table["error"].iloc[0]
    assert (folder / "notebook.ipynb").exists()
    (folder / "manifest.json").write_text('{"status": "o')  # cut off: not finished
    assert grid(source, {"n": [1]}, out=tmp_path / "grid", progress=False)["status"].tolist() == ["ok"]


def test_no_key_is_written_down(tmp_path, log, capfd):
    source = notebook(tmp_path / "small.ipynb", WORK)
    grid(source, {"n": [1], "api_key": ["sk-first-123456", "sk-second-123456"]}, out=tmp_path / "grid")
    for path in (p for p in (tmp_path / "grid").rglob("*") if p.is_file()):
        assert not re.search(rb"sk-(first|second)", path.read_bytes()), path
    assert "sk-" not in capfd.readouterr().err


def begun(tmp_path: Path, source: Path, *names: str) -> subprocess.Popen:
    program = "import sys; from persona_kit.runs import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "grid", str(source), "-y", "n=1,2,3", "--out", str(tmp_path / "grid")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(400):
        if all((tmp_path / f"begun-{n}").exists() for n in names):
            return process
        time.sleep(0.1)
    process.kill()
    pytest.fail(f"the cells did not begin: {process.communicate()}")


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path("/proc").exists() and Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_grid_that_was_stopped_leaves_no_kernel_and_goes_on(tmp_path, log, how):
    source = notebook(tmp_path / "slow.ipynb", WORK, SLOW)
    process = begun(tmp_path, source, "1", "2", "3")
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130 and "stopped with 1 of 3 cells finished" in err and "Traceback" not in err, err
        assert re.search(r"n=[23]: stopped", err)
    kernels = [int((tmp_path / f"begun-{n}").read_text()) for n in (2, 3)]
    for _ in range(100):
        if all(map(gone, kernels)):
            break
        time.sleep(0.1)
    assert all(map(gone, kernels)), "a kernel outlived the grid"
    (tmp_path / "quick").touch()
    table = grid(source, {"n": [1, 2, 3]}, out=tmp_path / "grid", progress=False)
    assert table["status"].eq("ok").all() and sorted(log.read_text().split()[::2]) == ["1", "2", "2", "3", "3"]


def test_two_grids_in_one_folder_share_the_work(tmp_path, log):
    source = notebook(tmp_path / "small.ipynb", WORK, "import time; time.sleep(1)")
    tables = {}

    def work(name):
        tables[name] = grid(source, {"n": [1, 2, 3, 4]}, out=tmp_path / "grid", progress=False)

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(log.read_text().split()[::2]) == ["1", "2", "3", "4"], "each cell once"
    pd.testing.assert_frame_equal(tables["a"], tables["b"])


def test_a_lock_is_held_by_one(tmp_path):
    with _claimed(tmp_path / "a") as one, _claimed(tmp_path / "a") as two:
        assert one and not two
    with _claimed(tmp_path / "a") as again:
        assert again


def test_the_command(tmp_path, log, capsys):
    source = notebook(tmp_path / "small.ipynb", WORK)
    words = ["grid", str(source), "--out", str(tmp_path / "grid"), "--workers", "1"]
    assert main([*words, "-y", "n=1,2", "-y", "mode=reason", "-p", "states", "CA,NY"]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"table: .*grid-[0-9a-f]{8}\.csv", out) and err.count("\n") == 2 and "[2/2] n=2 mode=reason: ok" in err
    assert main([*words, "-y", "{n: [1, 2], mode: [reason], states: [CA, NY]}"]) == 0  # the same grid
    assert capsys.readouterr().err.count("there already") == 2
    assert main([*words, "-y", "n=0"]) == 1 and main([*words, "-y", "m=0"]) == 2 and main([*words, "-y", "n"]) == 2
    assert main([*words, "-y", "states=[[CA],[NY]]", "-y", "n=1"]) == 0
    assert main(["run", str(source), "-y", "n=1", "-y", "states=CA", "--out", str(tmp_path / "runs")]) == 0
    assert json.loads(next((tmp_path / "runs").glob("*/manifest.json")).read_text())["parameters"]["states"] == ["CA"]
