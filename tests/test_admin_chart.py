"""The drawing of what was done: a function of numbers."""

from __future__ import annotations

import re

import pytest
from django.utils import translation

from django_resque.admin.chart import BAR, HEIGHT, Chart, chart, nice
from django_resque.store import Point

START = 1_795_180_800  # 2026-11-20 13:20:00 UTC
RECTANGLE = re.compile(r"M(\d+) (\d+)h(\d+)v(\d+)h-(\d+)z")


def drawn(*counts: tuple[int, int], bar: int = 60, row: int = 60) -> Chart:
    points = [Point(START + 60 * place, processed, failed) for place, (processed, failed) in enumerate(counts)]
    return chart("hour", "Last hour", points, bar=bar, row=row)


def bars(path: str) -> list[tuple[int, int, int]]:
    """Left edge, upper edge and height of each."""
    found = [tuple(map(int, numbers)) for numbers in RECTANGLE.findall(path)]
    assert "".join(f"M{x} {y}h{width}v{height}h-{back}z" for x, y, width, height, back in found) == path
    assert all(width == back == BAR for _x, _y, width, _height, back in found)
    return [(x, y, height) for x, y, _width, height, _back in found]


def test_each_bar_has_a_part_that_failed_at_its_foot():
    drawing = drawn((10, 0), (4, 4), (0, 0), (5, 1))
    assert bars(drawing.done) == [(1, 0, 100), (31, 50, 40)]
    assert bars(drawing.failed) == [(11, 60, 40), (31, 90, 10)]
    assert (drawing.width, drawing.height, drawing.top) == ("40", str(HEIGHT), "10")


def test_the_little_that_is_there_can_be_seen():
    drawing = drawn((1_000_000, 1), (1, 0))
    assert bars(drawing.failed) == [(1, 99, 1)]
    assert bars(drawing.done) == [(1, 0, 99), (11, 99, 1)]


def test_numbers_that_cannot_be_are_drawn_within_the_frame():
    drawing = drawn((1, 50), (10, 0))
    assert bars(drawing.failed) == [(1, 17, 83)]
    assert bars(drawing.done) == [(11, 83, 17)]


def test_minutes_are_summed_up_in_bars_and_rows_that_begin_at_whole_ones():
    drawing = drawn(*[(2, 1)] * 10, bar=300, row=600)
    assert bars(drawing.done) == [(1, 0, 50), (11, 0, 50)]
    assert [(row.processed, row.failed) for row in drawing.rows] == [("20", "10")]
    assert len(drawn(*[(2, 1)] * 10, bar=420).grid) > 0
    assert len(drawn(*[(2, 1)] * 10, row=480).rows) == 2


def test_the_rows_say_when_the_newest_first(settings):
    settings.TIME_ZONE = "Europe/Vienna"
    drawing = drawn((1, 0), (2, 1))
    assert [(row.time, row.processed, row.failed) for row in drawing.rows] == [
        ("2:21 p.m.", "2", "1"),
        ("2:20 p.m.", "1", "0"),
    ]
    assert (drawing.start, drawing.end) == ("2:20 p.m.", "2:21 p.m.")
    assert drawing.words == "3 processed, 1 of them failed"


def test_without_points_there_is_an_empty_frame():
    drawing = drawn()
    assert (drawing.done, drawing.failed, drawing.rows, drawing.start) == ("", "", [], "")
    assert drawn((0, 0)).done == ""


@pytest.mark.parametrize("language", ["de", "ar", "hi"])
def test_it_is_drawn_alike_in_every_language(language: str):
    expected = drawn((12_345, 678))
    with translation.override(language):
        found = drawn((12_345, 678))
    assert (found.done, found.failed, found.grid) == (expected.done, expected.failed, expected.grid)
    assert (found.width, found.height) == (expected.width, expected.height)


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 2), (1, 2), (2, 2), (3, 4), (5, 6), (7, 10), (10, 10), (11, 20), (61, 100), (4001, 6000)]
)
def test_the_scale_ends_at_a_number_that_reads_well_and_so_does_its_half(highest: int, top: int):
    assert nice(highest) == top
    assert nice(highest) % 2 == 0
