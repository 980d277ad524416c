"""A cognitive path as one SVG picture."""

from cortez.analysis.rules import CognitivePath

COLOURS = {
    "exploracion": "#7fb2e5",
    "planificacion": "#5c8fd6",
    "implementacion": "#4c9f70",
    "progresando": "#86c06c",
    "depuracion": "#e0a84e",
    "validacion": "#9c7fd0",
    "reflexion": "#c58fd6",
    "confusion": "#e58a7f",
    "atascado": "#cf5c5c",
}
WIDTH, BAND, CURVE = 860.0, 46.0, 90.0


def draw(path: CognitivePath) -> str:
    """Phases as coloured bands, as wide as they have steps; below, the AI's share from 0 to 1."""
    total = sum(phase.traces for phase in path.phases) or 1
    bands, seen = [], 0
    for phase in path.phases:
        left, width = seen / total * WIDTH, phase.traces / total * WIDTH
        seen += phase.traces
        title = f"{phase.state}: {phase.traces} steps from {phase.started_at:%H:%M}"
        colour = COLOURS[phase.state]
        bands.append(
            f'<rect x="{left:.1f}" width="{width:.1f}" height="{BAND}" fill="{colour}"><title>{title}</title></rect>'
        )
    last = max(1, len(path.dependency) - 1)
    points = " ".join(
        f"{index / last * WIDTH:.1f},{BAND + 10 + CURVE * (1 - point.moving_average):.1f}"
        for index, point in enumerate(path.dependency)
    )
    legend = "".join(f'<li><i style="background:{colour}"></i>{state}</li>' for state, colour in COLOURS.items())
    return (
        f'<svg viewBox="0 0 {WIDTH:.0f} {BAND + CURVE + 20:.0f}" role="img" aria-label="Cognitive path">'
        f'{"".join(bands)}<polyline points="{points}" fill="none" stroke="#333" stroke-width="2"/></svg>'
        f"<ul class=legend>{legend}</ul>"
    )
