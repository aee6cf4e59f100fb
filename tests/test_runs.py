"Runs: parameters are checked, nothing is lost, nothing secret is written, and many can go on at once."

import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from persona_kit import runs
from persona_kit.runs import RunError, check_parameters, experiments, main, parameters, record, run

PARAMETERS = """
n: int = 3  # how many
temperature: float = 0.5  # one of 0.5, 1.0, 2: randomness
states: list[str] = ["CA", "NY"]  # any of persona_kit.STATES: where
years: list[int] | None = [2016, 2020]  # any of 2016, 2020, 2024
mode: str = "choice"  # one of choice, reason or probability. How people are asked = what they see
form: str = "list"  # one of persona_kit.personas.FORMATS: in which words
base_url: str | None = None  # endpoint
api_key: str | None = None  # its key
flag: bool = False
shape: tuple[int, str] = (1, "a")
options: dict[str, int] = {
    "a": 1,
    "b": 2,
}  # over several lines
untyped = 7  # read from its default
later = sorted([3, 1])  # not a literal
seed: int = 1  # random seed
"""


def notebook(path: Path, *cells: str, parameters: str = PARAMETERS) -> Path:
    "A notebook; cells that begin with # are prose."
    sources = ["# How far <script>alert(1)</script> off?\n\n> The question.", parameters, *cells]
    made = [
        {"cell_type": "markdown" if re.match(r"#+ ", s) else "code", "id": f"c{i}", "metadata": {}, "source": s}
        for i, s in enumerate(sources)
    ]
    for cell in made:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    made[1]["metadata"] = {"tags": ["parameters"]}
    path.write_text(json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


@pytest.fixture
def plain(tmp_path):
    return notebook(tmp_path / "plain.ipynb")


def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def test_parameters_are_read_without_being_run(plain):
    table = parameters(plain).set_index("name")
    assert table["type"].to_dict() == {
        "n": "int",
        "temperature": "float",
        "states": "list[str]",
        "years": "list[int] | None",
        "mode": "str",
        "form": "str",
        "base_url": "str | None",
        "api_key": "str | None",
        "flag": "bool",
        "shape": "tuple[int, str]",
        "options": "dict[str, int]",
        "untyped": "int",
        "later": "Any",
        "seed": "int",
    }
    assert table.loc["options", "help"] == "over several lines" and table.loc["options", "default"] == "{'a': 1, 'b': 2}"
    assert check_parameters(plain)["later"] == "sorted([3, 1])" and check_parameters(plain)["shape"] == (1, "a")


@pytest.mark.parametrize(
    "given",
    [
        {"n": 0},
        {"temperature": 1},
        {"temperature": 0.5},
        {"states": ("DC", "ME")},
        {"years": None},
        {"years": [2024]},
        {"mode": "probability"},
        {"base_url": None},
        {"base_url": "http://localhost:1/v1"},
        {"flag": True},
        {"shape": [2, "b"]},
        {"options": {}},
        {"untyped": 8},
        {"later": "anything"},
        {},
    ],
)
def test_good_parameters(plain, given):
    assert check_parameters(plain, given).keys() == check_parameters(plain).keys()


@pytest.mark.parametrize(
    "given, said",
    [
        ({"n_per_sate": 1}, "no parameter 'n_per_sate'; it has n, temperature"),
        ({"mod": "choice"}, "did you mean 'mode'"),
        ({"n": "3"}, "n must be int, got str '3'"),
        ({"n": True}, "n must be int, got bool True"),
        ({"n": 3.0}, "n must be int, got float"),
        ({"n": None}, "got NoneType"),
        ({"temperature": "1e0"}, "temperature must be float"),
        ({"temperature": 0.7}, "0.7 is not one of 0.5, 1.0, 2"),
        ({"states": []}, "the list is empty"),
        ({"states": ["CA", "CA"]}, "'CA' is named twice"),
        ({"years": [2016, 2016]}, "2016 is named twice"),
        ({"base_url": "user:secret@host/v1"}, "plain: base_url must begin with http:// or https://"),
        ({"temperature": float("nan")}, "must be a finite number"),
        ({"states": "CA"}, "states must be list[str], got str"),
        ({"states": ["CA", "ZZ"]}, "'ZZ' is not one of AK, AL"),
        ({"states": [2016]}, "states must be list[str]"),
        ({"states": [False]}, "got list [False]"),
        ({"years": [2012]}, "2012 is not one of 2016, 2020, 2024"),
        ({"years": 2016}, "years must be list[int] | None"),
        ({"mode": "chioce"}, "did you mean 'choice'"),
        ({"form": "xml"}, "'xml' is not one of list, json"),
        ({"flag": 1}, "flag must be bool"),
        ({"shape": [1]}, "shape must be tuple[int, str]"),
        ({"options": {"a": "1"}}, "options must be dict[str, int]"),
        ({"untyped": "x"}, "untyped must be int"),
        ({3: 4}, "no parameter 3"),
        ([1], "must be a mapping"),
    ],
)
def test_bad_parameters_are_refused_before_a_kernel_starts(plain, tmp_path, given, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        run(plain, given, out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "given, said",
    [
        ({"people": 0}, "people must be at least 1, got 0"),
        ({"people": -3}, "at least 1"),
        ({"hot": -0.1}, "hot must be at least 0, got -0.1"),
        ({"hot": float("inf")}, "at least 0"),
        ({"base_url": "https://models.example/v1"}, 'generator and simulator are "embedded", which uses no endpoint'),
        ({"base_url": "https://models.example/v1", "simulator": "m", "people": 1, "hot": 0}, None),
    ],
)
def test_bounds_and_an_address_without_a_model(tmp_path, given, said):
    lines = ["people: int | None = 5  # people, at least 1", "hot: float = 1.0  # at least 0", 'generator: str = "embedded"',
             'simulator: str = "embedded"', "base_url: str | None = None"]  # fmt: skip
    source = notebook(tmp_path / "bounds.ipynb", parameters="\n".join(lines))
    if said is None:
        assert check_parameters(source, given)["people"] == 1
    else:
        with pytest.raises(ValueError, match=re.escape(said)):
            check_parameters(source, given)


def test_all_faults_are_told_at_once(plain):
    with pytest.raises(ValueError) as e:
        check_parameters(plain, {"n": "x", "mode": "y", "z": 1})
    assert "3 faults" in str(e.value) and str(e.value).count("\n  - ") == 3


def test_numpy_and_paths_become_plain(plain):
    np = pytest.importorskip("numpy")
    got = check_parameters(
        plain, {"n": np.int64(4), "years": np.array([2016]), "later": Path("/x"), "states": pd.Series(["CA"]).to_numpy()}
    )
    assert got["n"] == 4 and got["years"] == [2016] and got["later"] == "/x" and got["states"] == ["CA"]
    json.dumps(got)


def test_unknown_experiments_and_files(tmp_path):
    for wrong in ("election_forcast", "nothing"):
        with pytest.raises(ValueError, match="no experiment"):
            parameters(wrong)
    with pytest.raises(FileNotFoundError, match="no notebook"):
        parameters(tmp_path / "absent.ipynb")
    for name, text in {"text": "hello", "list": "[1]", "half": '{"cells": [', "old": '{"worksheets": []}'}.items():
        (tmp_path / f"{name}.ipynb").write_text(text)
        with pytest.raises(ValueError, match="not a Jupyter notebook"):
            parameters(tmp_path / f"{name}.ipynb")
    with pytest.raises(ValueError, match="not valid Python: line 1"):
        parameters(notebook(tmp_path / "syntax.ipynb", parameters="n: int ="))


def test_shipped_experiments_have_a_question_and_helpful_parameters():
    for row in experiments().itertuples():
        assert row.title and row.question, row.name
        table = parameters(row.name)
        assert len(table) and table["help"].ne("").all() and table["type"].ne("Any").all(), row.name
        check_parameters(
            row.name, {k: v for k, v in check_parameters(row.name).items() if not isinstance(v, tuple)}
        )  # the defaults obey their own rules


YAML_TRAPS = {
    "{n: 3": "not valid YAML: line 1",
    "[1, 2]": "must be a mapping",
    "just text": "must be a mapping",
    "n: 1\nn: 2": "'n' is given twice",
    "n: [": "not valid YAML",
    "states: [NO]": "must be list[str]",
    "n: '3'": "must be int",
    "temperature: 1e0": "must be float",
    "n: 2020-11-03": "must be int",
    "{1: 2}": "no parameter 1",
    "!!python/object/apply:os.system ['true']": "not valid YAML",
    "n:\t3\n\tx: 1": "not valid YAML",
    "? [a]\n: 1": "not valid YAML",
    "flag: 'yes'": "must be bool",
}


@pytest.mark.parametrize("text, said", YAML_TRAPS.items())
def test_yaml_traps_give_one_line_and_exit_code_2(plain, tmp_path, capsys, text, said):
    (tmp_path / "p.yaml").write_text(text)
    for words in (["-y", text], ["-f", str(tmp_path / "p.yaml")]):
        assert main(["run", str(plain), *words, "--out", str(tmp_path / "runs")]) == 2
        out, err = capsys.readouterr()
        assert not out and said in err and err.count("\n") == 1 and "Traceback" not in err, err
    assert not (tmp_path / "runs").exists()


def test_files_that_are_none(plain, tmp_path, capsys):
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    for name in ("absent.yaml", "binary.yaml", "."):
        assert main(["run", str(plain), "-f", str(tmp_path / name)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert main(["params", "nothing"]) == 2


def test_single_values_are_read_by_the_annotation(plain):
    words = {
        "n": "12",
        "temperature": "1",
        "states": "CA,NY",
        "years": "2016",
        "mode": "reason",
        "base_url": "null",
        "api_key": "007",
        "flag": "true",
    }
    arguments = runs._arguments().parse_args(
        ["run", str(plain), "-y", "{n: 1, seed: 5}", *(w for k, v in words.items() for w in ("-p", k, v))]
    )
    assert runs._given(arguments) == {
        "n": 12,
        "seed": 5,
        "temperature": 1,
        "states": ["CA", "NY"],
        "years": [2016],
        "mode": "reason",
        "base_url": None,
        "api_key": "007",
        "flag": True,
    }


def test_record_outside_a_run_only_gives_back(tmp_path, monkeypatch):
    monkeypatch.delenv("PERSONA_KIT_RUN", raising=False)
    frame = pd.DataFrame({"a": [1]})
    assert record(frame, "a") is frame
    for name in ("../a", "", "a/b", ".hidden", "a.b"):
        with pytest.raises(ValueError, match="name"):
            record(frame, name)
    monkeypatch.setenv("PERSONA_KIT_RUN", str(tmp_path))
    record(frame.assign(b="x").set_index("b"), "indexed")
    record(frame["a"].value_counts(), "counts")
    record({"calls": 2}, "usage")
    record(pd.Series([1.5]).to_numpy()[0], "number")
    assert pd.read_parquet(tmp_path / "tables" / "indexed.parquet").columns.tolist() == ["b", "a"]
    assert json.loads((tmp_path / "results.json").read_text()) == {"usage": {"calls": 2}, "number": 1.5}
    with pytest.raises(TypeError, match="cannot keep"):
        record(object(), "thing")


class Page(HTMLParser):
    "What a page loads, and its scripts."

    def __init__(self, text):
        super().__init__()
        self.loads, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [v for k, v in attrs if k == "src" or (k == "href" and tag == "link")]


WORK = """
import os, pandas as pd, matplotlib.pyplot as plt
from IPython.display import Markdown, display
from persona_kit.runs import record
print("<script>alert(2)</script>", os.environ.get("OPENAI_API_KEY"), base_url, api_key)
figure, axes = plt.subplots(figsize=(2, 2))
axes.plot([1, 2])
record(axes, "line")
record(pd.DataFrame({"state": states, "n": n, "model said": "<img src=http://evil.example/x.png onerror=alert(3)>"}), "summary")
record({"calls": n, "key": str(api_key)}, "usage")
display(pd.DataFrame({"text": ["<script>alert(4)</script>"]}), Markdown("a & b"))
"""


def test_a_run_holds_everything_and_no_secret(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment-12345")
    monkeypatch.setenv("OTHER_BASE_URL", "https://ann:environment-pw@h.example/v1")
    given = {
        "n": 4,
        "states": ["DC"],
        "api_key": "sk-parameter-67890",
        "base_url": "https://bob:parameter-pw@models.example:8443/v1?key=query-secret",
    }
    source = notebook(tmp_path / "whole {x}.ipynb", "## Work", WORK + "\nprint(os.environ['OTHER_BASE_URL'])")
    folder = run(source, given, out=tmp_path / "runs")
    assert re.fullmatch(r"whole \{x\}-\d{8}-\d{6}-[0-9a-f]{6}", folder.name)
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert names == {"notebook.ipynb", "report.html", "manifest.json", "results.json", "tables/summary.parquet", "figures/line.png"}
    assert pd.read_parquet(folder / "tables" / "summary.parquet")["n"].tolist() == [4]

    said = manifest(folder)
    assert said["status"] == "ok" and said["error"] is None and said["seconds"] > 0 and said["started"] <= said["ended"]
    assert said["parameters"]["n"] == 4 and said["parameters"]["temperature"] == 0.5 and said["seeds"] == {"seed": 1}
    assert said["endpoint"] == said["parameters"]["base_url"] == "https://models.example:8443/v1"
    assert said["usage"] == {"calls": 4, "key": "***"} and said["packages"]["pandas"] == pd.__version__
    assert said["data"] and all(re.fullmatch("[0-9a-f]{64}", v) for v in [*said["data"].values(), *said["prompts"].values()])

    secrets = ["environment-12345", "environment-pw", "parameter-67890", "parameter-pw", "query-secret"]
    for path in (p for p in folder.rglob("*") if p.is_file()):
        assert not [s for s in secrets if s.encode() in path.read_bytes()], path

    text = (folder / "report.html").read_text()
    page = Page(text)
    assert all(load.startswith("data:") for load in page.loads) and not {"script", "link", "iframe"} & set(page.tags), page.loads
    assert (
        "default-src 'none'" in text
        and "&lt;script&gt;alert(2)" in text
        and "&lt;script&gt;alert(4)" in text
        and '<details class="code">' in text
    )
    err = capfd.readouterr().err
    assert "Work" in err and err.count("\n") < 6 and "secret" not in err, err  # a few lines of progress, no wall of logs


def test_a_failure_is_kept_and_told_in_a_line(tmp_path, capsys):
    source = notebook(
        tmp_path / "fails.ipynb",
        "before = 1",
        "## The divisor",
        "import pandas as pd\nfrom persona_kit.runs import record\nrecord(pd.DataFrame({'a': [1]}), 'early')\nn / (n - n)",
        "never = 1",
    )
    with pytest.raises(RunError, match="under 'The divisor': ZeroDivisionError: division by zero") as e:
        run(source, {"n": 2}, out=tmp_path / "runs", progress=False)
    folder = e.value.folder
    assert manifest(folder)["status"] == "failed" and manifest(folder)["error"] == e.value.error and e.value.error["cell"] == 6
    assert (folder / "tables" / "early.parquet").exists() and "ZeroDivisionError" in (folder / "report.html").read_text()
    cells = json.loads((folder / "notebook.ipynb").read_text())["cells"]
    assert cells[5]["outputs"][-1]["ename"] == "ZeroDivisionError" and not cells[6]["outputs"] and cells[6]["execution_count"] is None
    assert main(["run", str(source), "--out", str(tmp_path / "runs")]) == 1
    err = capsys.readouterr().err
    assert "ZeroDivisionError" in err and "Traceback" not in err and str(tmp_path / "runs") in err


def test_a_kernel_that_dies_is_reported(tmp_path):
    source = notebook(tmp_path / "dies.ipynb", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(RunError, match="cell 3.*the kernel died"):
        run(source, out=tmp_path / "runs", progress=False)


def started(tmp_path: Path, source: Path) -> tuple[subprocess.Popen, Path]:
    program = "import sys; from persona_kit.runs import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "run", str(source), "--out", str(tmp_path / "runs")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OPENAI_API_KEY": "x" * 20}
    )
    for _ in range(300):
        if list((tmp_path / "runs").glob("*/begun")):
            break
        time.sleep(0.1)
    return process, next((tmp_path / "runs").glob("*"))


SLOW = "import os, pathlib, time\npathlib.Path(os.environ['PERSONA_KIT_RUN'], 'begun').write_text(str(os.getpid()))\ntime.sleep(60)"


def test_kill_9_leaves_the_truth_and_no_orphan(tmp_path):
    process, folder = started(tmp_path, notebook(tmp_path / "slow.ipynb", "done = 1", SLOW))
    process.kill()
    process.communicate()
    assert manifest(folder)["status"] == "running"
    cells = json.loads((folder / "notebook.ipynb").read_text())["cells"]
    assert [c.get("execution_count") for c in cells][2] == 2
    kernel = int((folder / "begun").read_text())
    for _ in range(100):
        try:
            os.kill(kernel, 0)
            state = Path(f"/proc/{kernel}/stat").read_text().split(") ")[1][0] if Path("/proc").exists() else "R"
        except (ProcessLookupError, FileNotFoundError):
            break
        if state == "Z":
            break
        time.sleep(0.1)
    else:
        pytest.fail("the kernel outlived the run")


def test_ctrl_c_stops_the_notebook_and_says_where_it_is(tmp_path):
    process, folder = started(tmp_path, notebook(tmp_path / "slow.ipynb", SLOW))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130 and str(folder) in err and "Traceback" not in err, err
    assert manifest(folder)["status"] == "failed" and manifest(folder)["error"]["ename"] == "KeyboardInterrupt"


def test_many_at_once_do_not_mix(tmp_path, monkeypatch):
    monkeypatch.delenv("PERSONA_KIT_RUN", raising=False)
    source = notebook(tmp_path / "many.ipynb", "from persona_kit.runs import record\nrecord(n, 'n')")
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda n: run(source, {"n": n % 2}, out=tmp_path / "runs", progress=False), range(4)))
    assert len(set(folders)) == 4 and "PERSONA_KIT_RUN" not in os.environ
    assert [json.loads((f / "results.json").read_text())["n"] for f in folders] == [0, 1, 0, 1]


def test_a_folder_is_never_used_twice(tmp_path):
    made = [runs._new_folder(tmp_path, "x", {}) for _ in range(5)]
    assert len(set(made)) == 5


def test_it_works_inside_a_running_event_loop(tmp_path):
    import asyncio

    async def within():
        return run(notebook(tmp_path / "loop.ipynb", "n + 1"), out=tmp_path / "runs", progress=False)

    assert manifest(asyncio.run(within()))["status"] == "ok"


def test_pictures_are_taken_from_the_outputs_if_none_was_recorded(tmp_path):
    source = notebook(tmp_path / "shown.ipynb", "import matplotlib.pyplot as plt\nplt.figure(figsize=(1, 1)).add_subplot().plot([1, 2]);")
    folder = run(source, out=tmp_path / "runs", progress=False)
    assert [p.name for p in (folder / "figures").iterdir()] == ["figure-1-cell-3.png"]


def test_papermill_knows_the_engine(tmp_path):
    source = notebook(tmp_path / "engine.ipynb", "import sys\nprint(sys.executable)")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "papermill",
            "--engine",
            "persona_kit",
            "-k",
            "python3",
            "-l",
            "python",
            "--no-progress-bar",
            str(source),
            str(tmp_path / "out.ipynb"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "without encryption" not in done.stderr and sys.executable in (tmp_path / "out.ipynb").read_text()


def test_without_the_lab_the_message_names_the_command(plain, monkeypatch, capsys):
    real = runs.importlib.util.find_spec
    monkeypatch.setattr(runs.importlib.util, "find_spec", lambda name: None if name in ("papermill", "yaml") else real(name))
    assert main(["run", str(plain)]) == 1
    assert 'pip install "persona_kit[lab]"' in capsys.readouterr().err
    assert main(["list"]) == 0 and main(["params", str(plain)]) == 0


def test_a_place_that_cannot_be_written(plain, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["run", str(plain), "--out", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_prices_on_the_command_line(tmp_path, capsys):
    source = notebook(tmp_path / "one.ipynb", "1 + 1")
    wrong = {"cheap": "prices must be two numbers", "{m: [1]}": "prices of 'm' must be", "[1": "the value of --prices is not valid YAML"}
    for text, words in wrong.items():
        assert main(["run", str(source), "--prices", text, "--out", str(tmp_path / "runs")]) == 2
        assert words in capsys.readouterr().err and not (tmp_path / "runs").exists()
    assert main(["run", str(source), "--prices", "{m: [1, 2.5]}", "--out", str(tmp_path / "runs")]) == 0
    (made,) = (tmp_path / "runs").iterdir()
    assert manifest(made)["prices"] == {"m": [1, 2.5]} and manifest(made)["replies"] == {}


def test_version_and_summary(tmp_path, capsys):
    with pytest.raises(SystemExit) as e:
        main(["--version"])
    assert e.value.code == 0 and re.match(r"persona-kit \d", capsys.readouterr().out)
    source = notebook(tmp_path / "sum.ipynb", "from persona_kit.runs import record\nrecord('all is well', 'summary')")
    assert main(["run", str(source), "--out", str(tmp_path / "runs")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("all is well\n") and out.strip().endswith("report.html")


@pytest.mark.parametrize("words", [["list"], ["params", "opinion_survey"]])
def test_a_reader_that_has_seen_enough_is_no_error(words):
    command = [sys.executable, "-c", "import sys; from persona_kit.runs import main; sys.exit(main(sys.argv[1:]))", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
