"""Build the documentation site from the notebooks as they stand (nothing is executed): sphinx, myst-nb and furo, into _docs/."""
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONF = """
project, author, html_title = "persona_kit", "The persona_kit authors", "persona_kit"
extensions = ["myst_nb"]
nb_execution_mode = "off"
nb_render_markdown_format = "myst"
myst_enable_extensions = ["dollarmath"]
html_theme = "furo"
html_copy_source = False
suppress_warnings = ["myst.header", "myst.xref_missing", "mystnb.unknown_mime_type", "misc.highlighting_failure"]
"""
PARTS = {"Tutorials": "tutorials/*", "How-to": "howto/*", "Experiments": "experiments/*", "Protocols": "protocols/*", "Library": "[0-9]*"}


def page(source: Path, target: Path) -> None:
    "Copy a notebook without hidden cells and directives; an exported definition is folded away."
    notebook = json.loads(source.read_text(encoding="utf-8"))
    kept = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if re.search(r"(?m)^#\| *(hide|default_exp)\b", text):
            continue
        if cell["cell_type"] == "code" and re.search(r"(?m)^#\| *export", text):
            cell["metadata"] = {"tags": ["hide-input"]}
        cell["source"] = re.sub(r"(?m)^#\|.*\n?", "", text).strip("\n")
        kept.append(cell)
    notebook["cells"] = kept
    notebook["metadata"]["language_info"] = {"name": "python"}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(notebook), encoding="utf-8")


def main() -> None:
    "Write the pages, the tables of contents and the site."
    notebooks = ROOT / "nbs"
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "conf.py").write_text(CONF)
        contents = []
        for caption, pattern in PARTS.items():
            names = [p.relative_to(notebooks).with_suffix("").as_posix() for p in sorted(notebooks.glob(f"{pattern}.ipynb"))]
            for name in names:
                page(notebooks / f"{name}.ipynb", work / f"{name}.ipynb")
            if names:
                contents.append("\n".join(["```{toctree}", f":caption: {caption}", ":hidden:", "", *names, "```"]))
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        (work / "index.md").write_text(readme + "\n\n" + "\n\n".join(contents) + "\n", encoding="utf-8")
        site, built = ROOT / "_docs", work / "built" / "html"  # myst-nb leaves notebooks beside what it builds
        done = subprocess.run([sys.executable, "-m", "sphinx", "-q", "-b", "html", str(work), str(built)])
        shutil.rmtree(built / ".doctrees", ignore_errors=True)
        if built.exists():
            shutil.rmtree(site, ignore_errors=True)
            shutil.move(built, site)
    if done.returncode:
        raise SystemExit(done.returncode)
    print(f"site: {site.relative_to(ROOT) / 'index.html'}")


if __name__ == "__main__":
    main()
