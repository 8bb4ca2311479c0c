"""The directive ``resque-settings``: the keys of ``RESQUE`` with default and meaning, out of `django_resque.conf`."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

from django_resque import conf


class ResqueSettings(SphinxDirective):
    """One section for each field of `Config`, in order; its text is the docstring below the field."""

    def run(self) -> list[nodes.Node]:
        comments = ModuleAnalyzer.for_module(conf.__name__).find_attr_docs()
        lines: list[str] = []
        for field in dataclasses.fields(conf.Config):
            comment = inspect.cleandoc("\n".join(comments["Config", field.name])).splitlines()
            lines += [f"`{field.name.upper()}` (default: `{default(field)}`)", f": {comment[0]}"]
            lines += [f"  {line}" for line in comment[1:]] + [""]
        node = nodes.section()
        node.document = self.state.document
        self.state.nested_parse(StringList(lines, conf.__file__), self.content_offset, node)
        return node.children


def default(field: dataclasses.Field[Any]) -> str:
    """The field's default as it would be written."""
    value = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return f"{value:_}" if type(value) is int and value >= 10_000 else repr(value).replace("'", '"')


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("resque-settings", ResqueSettings)
    return {"parallel_read_safe": True}
