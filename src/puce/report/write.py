# SPDX-License-Identifier: Apache-2.0
"""Write report.html, report.md and plots/ into a run folder: the same bytes for the same records and language."""

from __future__ import annotations

from pathlib import Path

from ..errors import MissingExtra, UnknownName
from ..run import Run
from .blocks import Chart, Report
from .markdown import as_markdown
from .sections import assemble
from .texts import LANGUAGES, Lang


def write(run: Run, lang: Lang = "en") -> Path:
    """Return the path of report.html. What the run has no record of is left out, with the command that adds it."""
    if lang not in LANGUAGES:
        raise UnknownName.among("language", lang, LANGUAGES, "Use --lang en or --lang fr.")
    report = assemble(run, lang)
    for section in report.sections:
        for block in section.blocks:
            if isinstance(block, Chart):
                with run.atomic(f"plots/{block.name}.svg") as path:
                    path.write_text(_standalone(block.svg), encoding="utf-8")
    with run.atomic("report.md") as path:
        path.write_text(as_markdown(report), encoding="utf-8")
    with run.atomic("report.html") as path:
        path.write_text(as_html(report), encoding="utf-8")
    return run.path("report.html")


def as_html(report: Report) -> str:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtra.of("jinja2", "the report", "report") from error
    loader = PackageLoader("puce.report", ".")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.tests["kind"] = lambda block, name: type(block).__name__ == name
    return environment.get_template("report.html.j2").render(report=report) + "\n"


def _standalone(svg: str) -> str:
    """A file of its own has no page to take the colour from: a grey that both light and dark viewers show."""
    return svg.replace("<svg ", '<svg color="#7a8088" font-family="sans-serif" ', 1) + "\n"
