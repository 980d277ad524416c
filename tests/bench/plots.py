"""The plots as SVG, by pygal: small, and maintained."""

from pathlib import Path

import pygal

from bench.stage import Plot


def draw(plot: Plot, folder: Path) -> None:
    chart = pygal.XY(
        title=plot.title,
        x_title=plot.x,
        y_title=plot.y,
        logarithmic=plot.logarithmic,
        show_dots=len(plot.series[0].points) < 20,
        width=900,
        height=450,
        legend_at_bottom=True,
        js=[],  # a file that loads nothing
    )
    for series in plot.series:
        chart.add(series.name, series.points)
    chart.render_to_file(str(folder / f"{plot.file}.svg"))
