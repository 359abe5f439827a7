"""Details of figures that are easily lost."""

import re

import numpy as np
import pytest

from fitrec.report.figures.training import rate_curve


@pytest.mark.parametrize("inh_hz", [np.linspace(3.0, 6.2, 7), np.full(7, 6.2), np.zeros(7), np.array([np.nan] * 6 + [5.0])])
def test_the_labels_of_the_rates_lie_within_the_figure(inh_hz: np.ndarray) -> None:
    svg = rate_curve("rates", np.arange(1, 8), np.full(7, 3.4), inh_hz, "rates")
    width, height = (float(value) for value in re.findall(r'viewBox="0 0 (\d+) (\d+)"', svg)[0])
    labels = re.findall(r'font-size: ([\d.]+)px[^>]*x="([\d.]+)" y="([\d.]+)"[^>]*>([EI])</text>', svg)
    assert [label for *_, label in labels] == ["E", "I"]
    for size, x, baseline, _ in labels:
        assert float(baseline) > float(size)  # a whole line of text above the baseline, whatever the font
        assert float(baseline) < height
        assert float(x) + 0.7 * float(size) < width
