"""What all templates of the dashboard, its script and its stylesheet promise, whatever they show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import django_resque

PACKAGE = Path(django_resque.__file__).parent
TEMPLATES = sorted(PACKAGE.glob("templates/**/*.html"))
SAID = ("aria-label", "title", "alt", "placeholder", "data-label", "label")
"""Attributes that are read out or shown."""


def parts_in_words(source: str) -> str:
    """The template's own words: what is left without tags, comments, and what is translated."""
    source = re.sub(r"{#.*?#}|{% comment %}.*?{% endcomment %}", "", source, flags=re.DOTALL)
    source = re.sub(r"{% blocktranslate\b.*?{% endblocktranslate %}", "", source, flags=re.DOTALL)
    source = re.sub(r"{%.*?%}|{{.*?}}", "", source, flags=re.DOTALL)
    said = [f" {value}" for name, value in re.findall(r'\b([\w-]+)="([^"]*)"', source) if name in SAID]
    return re.sub(r"<[^>]*>|&\w+;", " ", source) + "".join(said)


def test_there_are_templates():
    assert len(TEMPLATES) > 10


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_all_words_of_a_template_are_translated(template: Path):
    words = re.findall(r"[^\W\d_]{2,}", parts_in_words(template.read_text()))
    assert words == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_scripts_and_styles_of_its_own_and_trusts_nothing(template: Path):
    source = template.read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", source)
    assert not re.search(r"\|\s*safe|autoescape off|mark_safe", source)


def test_no_code_marks_anything_as_safe():
    for file in PACKAGE.glob("admin/**/*.py"):
        assert not re.search(r"mark_safe|SafeString|format_html\(f|format_html\([^\"']", file.read_text()), file


def test_there_is_one_script_and_one_stylesheet_and_they_fetch_nothing_from_elsewhere():
    found = sorted(path.name for path in PACKAGE.glob("static/**/*.*"))
    assert found == ["dashboard.css", "dashboard.js"]
    for file in PACKAGE.glob("static/**/*.*"):
        assert not re.search(
            r"https?://|@import|url\(|eval\(|innerHTML|insertAdjacentHTML|document\.write", file.read_text()
        )


def test_the_stylesheet_has_no_colours_but_the_admins():
    source = re.sub(r"/\*.*?\*/", "", (PACKAGE / "static/django_resque/dashboard.css").read_text(), flags=re.DOTALL)
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|\brgba?\(|\bhsla?\(", source)
