"Build metadata lives in `settings.ini`; edit there, not here."
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

ini = ConfigParser(delimiters=["="])
ini.read("settings.ini", encoding="utf-8")
cfg = ini["DEFAULT"]
lib = cfg["lib_path"]


def words(key):
    return cfg.get(key, "").split()


def lines(key):
    return [o.strip() for o in cfg.get(key, "").splitlines() if o.strip()]


extras = {name: lines(f"{name}_requirements") for name in ("local", "lab", "ray", "files", "text", "dev")}
extras["dev"] += extras["local"] + extras["lab"] + extras["ray"] + extras["files"] + extras["text"]
folders = {f"{lib}.data": "data", f"{lib}.experiments": "nbs/experiments"}  # shipped inside the package

setup(
    name=cfg["lib_name"], version=cfg["version"], description=cfg["description"], keywords=words("keywords"),
    author=cfg["author"], author_email=cfg["author_email"], license="Apache-2.0",
    project_urls={"Source": cfg["git_url"]}, classifiers=[c for c in lines("classifiers") if not c.startswith("License")],
    long_description=Path("README.md").read_text(encoding="utf-8"), long_description_content_type="text/markdown",
    packages=[*find_packages(include=[lib, f"{lib}.*"]), *folders], package_dir=folders,
    package_data={f"{lib}.data": ["**/*"], f"{lib}.experiments": ["*.ipynb"]},
    install_requires=lines("requirements"), extras_require=extras,
    entry_points={
        "console_scripts": lines("console_scripts"),
        "papermill.engine": [f"{lib} = {lib}.runs:LocalEngine"],
        "nbdev": [f"{lib} = {lib}._modidx:d"],
    },
    zip_safe=False,
)
