"""The plots of the page: nothing covers anything, ticks are round, and the same is drawn the same."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from retrieval.evaluation.html.plots import Estimate, Speed, estimates, latencies, recall_against_latency
from tests.evaluation.pages import at, drawn, pictures


def test_points_that_would_cover_each_other_are_lifted() -> None:
    rows = [Speed(f"random {n} %", (1.0, 1.0, 1.0), (1.0, 2.0, 3.0), (2.0, 3.0, 4.0)) for n in range(4)]
    (picture,) = pictures(recall_against_latency("p", rows, 10))
    heights = sorted(at(one)[1] for one in drawn(picture, "mark"))
    assert len(heights) == 4
    assert np.diff(heights).min() >= 14


@pytest.mark.parametrize("slowest_ms", [2.0, 500.0])
def test_the_name_of_exact_search_covers_no_point(slowest_ms: float) -> None:
    times = np.geomspace(0.1, slowest_ms, 12).tolist()
    rows = [Speed(f"random {n} %", (0.9, 0.8, 0.95), (0.1, 0.1, 0.1), (ms, ms, ms)) for n, ms in enumerate(times)]
    rows.append(Speed("all tracks", (0.9, 0.8, 0.95), (0.1, 10.0, 600.0), (1.0, 1.0, 1.0)))
    (picture,) = pictures(recall_against_latency("p", rows, 10))
    (name,) = (one for one in picture.iter("text") if one.text == "exact search")
    points = [*drawn(picture, "mark twin"), *drawn(picture, "mark")]
    assert len(points) == 26
    assert float(name.get("y") or 0) < min(at(point)[1] for point in points) - 4.5


@pytest.mark.parametrize(
    ("ms", "ticks"),
    [
        ((0.011, 1.0, 99.0), ["0.01", "0.1", "1", "10", "100"]),
        ((0.12, 0.14, 0.165), ["0.12", "0.14", "0.16", "0.18"]),
    ],
)
def test_times_are_told_in_round_numbers(ms: tuple[float, float, float], ticks: list[str]) -> None:
    (picture,) = pictures(latencies("p", [Speed("all", (1.0, 1.0, 1.0), ms, ms)]))
    shown = [one.text for one in picture.iter("text") if re.fullmatch(r"[\d.]+", one.text or "")]
    assert shown == ticks


def test_the_same_picture_is_the_same_text() -> None:
    rows = [Estimate("a", 0.5, 0.4, 0.6, "0.5"), Estimate("b", 0.1, -0.2, 0.3, "0.1")]
    once, again, other = (estimates(name, "t", rows, "x", zero=True) for name in ("p", "p", "q"))
    assert once == again
    assert "url(" not in once
    assert not {one.get("id") for one in ET.fromstring(once).iter()} & {
        one.get("id") for one in ET.fromstring(other).iter() if one.get("id")
    }


def test_labels_are_no_formulas_and_need_no_font_of_matplotlib() -> None:
    labels = ["$a^2$ & <b>", "\N{CJK UNIFIED IDEOGRAPH-97F3}\x01"]
    (picture,) = pictures(estimates("p", "t", [Estimate(one, 0.5, 0.4, 0.6, "0.5") for one in labels], "x"))
    shown = [one.findtext("text") for one in drawn(picture, "halo")]
    assert shown == [labels[0], labels[1].replace("\x01", "\N{REPLACEMENT CHARACTER}")]
