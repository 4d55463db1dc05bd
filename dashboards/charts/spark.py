"""Small trends for cards, as SVG in a data address (inline SVG is stripped by the sanitiser)."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence

WIDTH, HEIGHT = 160, 34


def area(values: Sequence[float | None], colour: str) -> str:
    """Draw a line with a light area below; periods without a value break it."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    if len(known) < 2:
        return _image("")
    low, high = min(known), max(known)
    low = min(low, high * 0.6) if low >= 0 else low
    step = WIDTH / max(len(values) - 1, 1)
    parts: list[str] = []
    for run in _runs(values):
        dots = [(i * step, _y(v, low, high)) for i, v in run]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
        ends = f"{dots[-1][0]:.1f},{HEIGHT} {dots[0][0]:.1f},{HEIGHT}"
        parts.append(f'<polygon fill="{colour}" fill-opacity=".14" points="{path} {ends}"/>')
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" stroke-linejoin="round" '
            f'vector-effect="non-scaling-stroke" points="{path}"/>'
        )
    return _image("".join(parts))


def line(values: Sequence[float | None], colour: str) -> str:
    """Draw a thin line with a dot at its end, for a row of a table; periods without a value break it."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    if len(known) < 2:
        return _image("")
    low, high, step = min(known), max(known), (WIDTH - 6) / max(len(values) - 1, 1)
    parts = []
    for run in _runs(values):
        path = " ".join(f"{i * step + 2:.1f},{_y(v, low, high):.1f}" for i, v in run)
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round" points="{path}"/>'
        )
    i, last = next((i, v) for i, v in reversed(list(enumerate(values))) if v is not None and math.isfinite(v))
    parts.append(f'<circle cx="{i * step + 2:.1f}" cy="{_y(last, low, high):.1f}" r="3" fill="{colour}"/>')
    return _image("".join(parts))


def columns(values: Sequence[float | None], colour: str, last: bool = True) -> str:
    """Draw small columns from zero, the last one set off; a period without a value leaves its place empty."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    high = max(known, default=0)
    if high <= 0:
        return _image("")
    pitch = WIDTH / len(values)
    parts = []
    for i, value in enumerate(values):
        if value is None or not math.isfinite(value):
            continue
        top = HEIGHT * (1 - max(value, 0) / high)
        strength = 1.0 if last and i == len(values) - 1 else 0.55
        parts.append(
            f'<rect x="{i * pitch + pitch * 0.14:.1f}" y="{top:.1f}" width="{pitch * 0.72:.1f}" '
            f'height="{HEIGHT - top:.1f}" rx="1.2" fill="{colour}" fill-opacity="{strength}"/>'
        )
    return _image("".join(parts))


def _runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    runs: list[list[tuple[int, float]]] = [[]]
    for i, value in enumerate(values):
        if value is None or not math.isfinite(value):
            runs.append([])
        else:
            runs[-1].append((i, value))
    return [run for run in runs if run]


def _y(value: float, low: float, high: float) -> float:
    return HEIGHT - 2 - (value - low) / ((high - low) or 1) * (HEIGHT - 5)


def _image(body: str) -> str:
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" preserveAspectRatio="none">{body}</svg>'
    )
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
