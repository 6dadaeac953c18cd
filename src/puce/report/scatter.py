# SPDX-License-Identifier: Apache-2.0
"""A map of pictures as inline SVG: a point a picture, coloured by class; its title, and the picture itself, on hover."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

WIDTH, HEIGHT, MARGIN = 860, 560, 14
PALETTE = ("#3a86c8", "#e08a2c", "#2e9e6b", "#d64550", "#8a63c9", "#a0714f", "#d56fb0", "#7d8790", "#a8a52b", "#2aa5b5")
THUMB = 48
COLUMNS = 40


@dataclass(frozen=True)
class Point:
    """x and y in any unit; `title` is shown on hover."""

    x: float
    y: float
    label: int
    title: str


def colours(classes: int) -> tuple[str, ...]:
    """One colour a class: ten that are easily told apart, or a walk around the wheel with three lightnesses."""
    if classes <= len(PALETTE):
        return PALETTE[:classes]
    return tuple(f"hsl({360 * k * 0.618034 % 360:.0f} 62% {(46, 58, 38)[k % 3]}%)" for k in range(classes))


def scatter(points: Sequence[Point], class_names: Sequence[str], pictures: Array, label: str) -> str:
    """Draw the points; `pictures`, uint8 [n, h, w, c], are their thumbnails, in one image inside the page.

    Without a script the points keep their titles; with it the legend switches classes off and on.
    """
    places = _places(np.array([(p.x, p.y) for p in points]))
    colour = colours(len(class_names))
    groups = []
    for k in range(len(class_names)):
        circles = "".join(
            _circle(i, float(places[i, 0]), float(places[i, 1]), p.title) for i, p in enumerate(points) if p.label == k
        )
        groups.append(f'<g data-k="{k}" fill="{colour[k]}" fill-opacity=".78">{circles}</g>')
    legend = "".join(
        f'<button type="button" data-k="{k}"><i style="background:{colour[k]}"></i>{escape(name)}</button>'
        for k, name in enumerate(class_names)
    )
    outline = 'rx="8" fill="none" stroke="currentColor" stroke-opacity=".18"'
    frame = f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{HEIGHT - 1}" {outline}/>'
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">{frame}{"".join(groups)}</svg>'
    tip = '<div class="tip" hidden><span></span><b></b></div>'
    sprite = f'data-columns="{COLUMNS}" data-rows="{-(-len(points) // COLUMNS)}" data-sprite="{_sprite(pictures)}"'
    return f'<div class="map" {sprite}><div class="legend">{legend}</div>{svg}{tip}</div>{SCRIPT}'


def _circle(i: int, x: float, y: float, title: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" data-i="{i}"><title>{escape(title)}</title></circle>'


def _places(points: Array) -> Array:
    """One scale for both axes, or distances would lie; the cloud in the middle of the frame, y upwards."""
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.array([WIDTH, HEIGHT]) - 2 * MARGIN
    scale = (room / np.maximum(high - low, 1e-9)).min()
    centred = (points - (low + high) / 2) * scale * np.array([1, -1])
    result: Array = centred + np.array([WIDTH, HEIGHT]) / 2
    return result


def _sprite(pictures: Array) -> str:
    """All thumbnails in one JPEG: a thousand take about half a megabyte."""
    from PIL import Image

    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * THUMB, rows * THUMB))
    for i, picture in enumerate(pictures):
        image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).convert("RGB")
        way = Image.Resampling.NEAREST if max(image.size) < THUMB else Image.Resampling.BILINEAR
        sheet.paste(image.resize((THUMB, THUMB), way), (i % COLUMNS * THUMB, i // COLUMNS * THUMB))
    stream = io.BytesIO()
    sheet.save(stream, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


SCRIPT = """<script>
(function () {
  var map = document.currentScript.previousElementSibling, tip = map.querySelector('.tip'), shown = tip.firstChild;
  var columns = +map.dataset.columns, rows = +map.dataset.rows;
  shown.style.backgroundImage = 'url(' + map.dataset.sprite + ')';
  shown.style.backgroundSize = columns * 96 + 'px ' + rows * 96 + 'px';
  map.querySelectorAll('circle').forEach(function (c) {
    var title = c.querySelector('title'), text = title.textContent, i = +c.dataset.i;
    title.remove();
    c.addEventListener('mouseenter', function () {
      var box = map.getBoundingClientRect(), at = c.getBoundingClientRect();
      shown.style.backgroundPosition = -(i % columns) * 96 + 'px ' + -Math.floor(i / columns) * 96 + 'px';
      tip.lastChild.textContent = text;
      tip.hidden = false;
      tip.style.left = Math.min(at.left - box.left + 14, box.width - tip.offsetWidth - 4) + 'px';
      tip.style.top = at.top - box.top + 14 + 'px';
    });
    c.addEventListener('mouseleave', function () { tip.hidden = true; });
  });
  map.querySelectorAll('.legend button').forEach(function (b) {
    b.addEventListener('click', function () {
      b.classList.toggle('out');
      map.querySelector('g[data-k="' + b.dataset.k + '"]').classList.toggle('off');
    });
  });
})();
</script>"""
