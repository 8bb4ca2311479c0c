"""Sphinx's configuration. A warning is an error: `tox -e docs`."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from django.conf import settings

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(Path(__file__).parent), str(ROOT)]

settings.configure()  # some modules look at Django's settings when they are imported

project = "django_resque"
author = "django_resque contributors"
copyright = author
release = version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "resque_settings"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"django_resque {version}"

myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"


def write_code_as_literals(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Our docstrings write code in single backticks as well, as in Markdown; reStructuredText wants two, and space."""
    single = re.compile(r"(?<![`:\w])`([^`\n]+)`(?!`)(\w?)")
    lines[:] = [single.sub(lambda code: f"``{code[1]}``" + (code[2] and f"\\ {code[2]}"), line) for line in lines]


def setup(app: object) -> None:
    app.connect("autodoc-process-docstring", write_code_as_literals)  # type: ignore[attr-defined]
