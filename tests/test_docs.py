"""The pictures in the documentation are of the pages as they are."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

import pytest

from django_resque.admin.pages import PAGES

# tox runs a copy of the tests that has no documentation beside it, and says where the sources are.
DOCS = Path(os.environ.get("DJANGO_RESQUE_SOURCES") or Path(__file__).parent.parent) / "docs"
PICTURES = DOCS / "images" / "dashboard"


def test_the_pictures_are_current():
    spec = importlib.util.spec_from_file_location("screenshots", DOCS / "screenshots.py")
    assert spec is not None
    assert spec.loader is not None
    screenshots = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(screenshots)
    kept = (PICTURES / "made-of.txt").read_text().strip()
    assert screenshots.made_of() == kept, "the pages have changed: python docs/screenshots.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.slug or "overview")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_there_is_a_picture_of_every_page(page, scheme: str):
    name = page.slug.replace("/", "_") or "overview"
    assert (PICTURES / f"{name}-{scheme}.png").stat().st_size > 5_000


def test_every_picture_that_is_shown_is_there():
    for file in DOCS.glob("*.md"):
        for name in re.findall(r"\]\((images/[^)]+)\)", file.read_text()):
            assert (DOCS / name).is_file(), f"{file.name} shows {name}"
