# SPDX-License-Identifier: Apache-2.0
"""The report as Markdown: the same sections, charts as links into plots/."""

from __future__ import annotations

from .blocks import Block, Chart, Code, Gauges, Grid, Matrix, Report, Section, Strips, Table, Text


def as_markdown(report: Report) -> str:
    lines = [f"# {report.title}", "", report.subtitle, "", f"**{report.verdict}**", ""]
    if report.warning:
        lines += [f"> **⚠ {report.warning}**", ""]
    if report.proof:
        lines += [f"> {report.proof}: {report.proof_chain}", ""]
    lines += [f"- {figure.name}: **{figure.value}** {figure.detail}".rstrip() for figure in report.figures]
    for section in report.sections:
        lines += ["", *_section(section)]
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section) -> list[str]:
    lines = [f"## {section.title}"]
    for block in section.blocks:
        text = _block(block)
        lines += ["", *text] if text else []
    return lines


def _block(block: Block) -> list[str]:
    match block:
        case Text():
            return [block.text]
        case Code():
            return ["```", block.text, "```"]
        case Table():
            return _table(block.head, [[cell.text for cell in row] for row in block.rows])
        case Chart():
            return [f"![{block.label}](plots/{block.name}.svg)"]
        case Matrix():
            rows = [[name, *(str(n) for n in counts)] for name, counts in zip(block.names, block.counts, strict=True)]
            return [block.caption, "", *_table((block.corner, *block.names), rows)]
        case Gauges():
            return [f"- {gauge.name}: {gauge.text}" for gauge in block.gauges]
        case Grid() | Strips():
            return []  # a picture grid is for the page alone


def _table(head: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    def line(cells: tuple[str, ...] | list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    head = head or ("",) * max((len(row) for row in rows), default=1)  # Markdown knows no table without a head
    return [line(head), "|" + " --- |" * len(head), *(line(row) for row in rows)]
