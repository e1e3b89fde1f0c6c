"""What every figure must be: nothing written outside of it, and no panel under the legend."""

from matplotlib.figure import Figure


def assert_inside(figure: Figure) -> None:
    """Title, legend and panels lie within the figure, and the legend on no panel."""
    figure.draw_without_rendering()
    (legend,) = figure.legends
    for part in [legend, figure._suptitle, *figure.axes]:
        box = part.get_tightbbox() if part in figure.axes else part.get_window_extent()
        assert box.x0 >= 0, part
        assert box.y0 >= 0, part
        assert box.x1 <= figure.bbox.width, part
        assert box.y1 <= figure.bbox.height, part
        if part in figure.axes:
            assert not box.overlaps(legend.get_window_extent()), part
