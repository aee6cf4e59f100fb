"""Render nbs/index.ipynb as README.md, or with --check say whether README.md is what it renders to."""
import re
import sys
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parent.parent
HIDDEN = re.compile(r"^#\| *(hide|export|exporti|default_exp)\b", re.MULTILINE)


def render() -> str:
    "README.md as text: the notebook's prose, code and text outputs, without hidden cells and directives."
    notebook = nbformat.read(ROOT / "nbs" / "index.ipynb", as_version=4)
    notebook.metadata.language_info = {"name": "python"}  # so that code fences say which language
    notebook.cells = [c for c in notebook.cells if not HIDDEN.search(c.source)]
    for cell in notebook.cells:
        cell.source = re.sub(r"(?m)^#\|.*\n?", "", cell.source)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/html" in data and "text/plain" in data:  # a table shows as text everywhere
                del data["text/html"]
    text, resources = MarkdownExporter().from_notebook_node(notebook)
    if resources["outputs"]:
        raise SystemExit("nbs/index.ipynb has figures in its outputs; README.md would need files beside it")
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def main() -> None:
    "Write README.md, or check it."
    if not (ROOT / "nbs" / "index.ipynb").exists():
        raise SystemExit("nbs/index.ipynb is missing")
    readme, text = ROOT / "README.md", render()
    if "--check" not in sys.argv:
        readme.write_text(text, encoding="utf-8")
    elif not readme.exists() or readme.read_text(encoding="utf-8") != text:
        raise SystemExit("README.md differs from nbs/index.ipynb; run `make readme`")


if __name__ == "__main__":
    main()
