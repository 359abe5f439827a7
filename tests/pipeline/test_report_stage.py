"""The report of a made-up fit: what is on the page, what it survives, and how it behaves in a browser."""

import dataclasses
import functools
import html.parser
import http.server
import json
import re
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fitrec import store
from fitrec.config.evaluate import EvaluateConfig, ReportConfig
from fitrec.errors import MissingFileError, StoreError
from fitrec.evaluate.truth import Truth
from fitrec.stages import evaluate, report
from fitrec.targets.targets import Targets
from tests.pipeline.synthetic_fit import (
    BIN_S,
    WINDOW_S,
    FitFiles,
    World,
    network,
    recorded,
    stand_in_simulator,
    true_world,
    write_fit,
)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def evaluated(root: Path, monkeypatch: pytest.MonkeyPatch, n_units: int, n_conditions: int) -> FitFiles:
    world = true_world(n_units, n_conditions)
    initial = network(recorded(world, 2, 0)[1]).plastic_weight
    monkeypatch.setattr("fitrec.evaluate.simulated.Simulator", lambda net, device: None)
    monkeypatch.setattr("fitrec.simulate.trials.run_trials", stand_in_simulator(world, initial))
    files = write_fit(root, world)
    evaluate_fit(files, write_truth(root / "truth.zarr", world, store.load(files.targets, Targets)))
    return files


def write_truth(path: Path, world: World, targets: Targets) -> Path:
    """The world's rates as the mean of 1000 trials."""
    truth = Truth(
        unit_id=targets.units["unit_id"].to_numpy(np.int64), condition_names=list(targets.condition_names),
        counts=np.rint(world.rate_hz * BIN_S * 1000).astype(np.uint32), trials=1000, bin_size_s=BIN_S, t_start_s=WINDOW_S[0],
    )  # fmt: skip
    store.save(path, truth, {})
    return path


def evaluate_fit(files: FitFiles, truth: Path | None = None) -> None:
    config = EvaluateConfig(trials=20, ceiling_splits=10, extra_smoothing_s=[0.1])
    evaluate.run(
        files.network, files.targets, files.fit, files.folder / "evaluation", config, run_name="contrast <fit>",
        config_hash="abc", recording=files.recording, truth=truth, overwrite=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FitFiles:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return evaluated(tmp_path_factory.mktemp("report"), monkeypatch, 40, 3)


@pytest.fixture(scope="module")
def page(files: FitFiles) -> Path:
    return report.run(files.folder, files.folder / "report", ReportConfig(examples=3))


class Outline(html.parser.HTMLParser):
    """Collects what the tests ask about, and fails on tags that do not nest."""

    VOID = ("meta", "link", "br", "img", "input", "hr")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.unlabelled_svg = 0
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if "id" in values:
            self.ids.append(str(values["id"]))
        if tag == "svg" and not values.get("aria-label"):
            self.unlabelled_svg += 1
        self.urls += [str(values[k]) for k in ("src", "href", "xlink:href") if k in values]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.headings.append(data.strip())


def outline(page: Path) -> Outline:
    parser = Outline()
    parser.feed(page.read_text(encoding="utf-8"))
    assert parser.open == []
    return parser


def test_page_is_whole_and_self_contained(page: Path) -> None:
    parser = outline(page)
    for heading in (
        "contrast <fit>",
        "Quality of the fit",
        "PSTHs, unit by unit",
        "Against the ground truth",
        "Training",
        "Details",
    ):
        assert heading in parser.headings
    assert parser.unlabelled_svg == 0
    assert len(parser.ids) == len(set(parser.ids))
    assert all(url.startswith(("#", "data:")) for url in parser.urls)
    assert {url[1:] for url in parser.urls if url.startswith("#")} <= set(parser.ids)
    assert page.stat().st_size < 2_000_000


def test_page_says_what_the_files_say(page: Path, files: FitFiles) -> None:
    text = re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8"))
    summary = json.loads((files.folder / "evaluation" / "summary.json").read_text())
    assert f"{summary['psth_r_test']['median']:.2f}" in text
    assert f"{summary['ceiling_r']['median']:.2f}" in text
    assert f"{100 * summary['r_over_ceiling']['median']:.0f} %" in text
    assert "20 trials per condition" in text
    assert "15.2 s" in text
    assert "at least 0.1 Hz wanted" in text  # an excluded unit and its reason
    assert "no neuron stands for it" in text
    assert "&lt;probe &amp; co&gt;.nwb" in text  # the configuration, escaped
    truth = pd.read_csv(files.folder / "evaluation" / "metrics.csv")["r_truth"]
    assert f"correlates with the true one by {truth.median():.2f}" in text
    assert "from 1000 further trials" in text


def test_colours_follow_the_page(page: Path) -> None:
    figures = re.findall(r"<svg.*?</svg>", page.read_text(encoding="utf-8"), flags=re.S)
    assert len(figures) > 20
    for figure in figures:
        assert not re.search(r"(fill|stroke): ?#", figure)
        assert "font-family" not in figure


def test_same_input_same_page(page: Path, files: FitFiles, tmp_path: Path) -> None:
    again = report.run(files.folder, tmp_path, ReportConfig(examples=3), targets=files.targets, recording=files.recording)
    assert again.read_bytes() == page.read_bytes()


def test_refuses_to_replace_and_names_what_is_missing(page: Path, files: FitFiles, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="exists already"):
        report.run(files.folder, page.parent, ReportConfig())
    with pytest.raises(MissingFileError, match="evaluate the fit first"):
        report.run(tmp_path, tmp_path / "report", ReportConfig())
    broken = tmp_path / "fit"
    shutil.copytree(files.folder / "evaluation", broken / "evaluation")
    (broken / "evaluation" / "summary.json").write_text("{")
    with pytest.raises(StoreError, match="is damaged"):
        report.run(broken, tmp_path / "report", ReportConfig())


@pytest.mark.parametrize(("n_units", "n_conditions"), [(1, 1), (4, 2), (30, 9)])
def test_few_units_and_many_conditions(n_units: int, n_conditions: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = evaluated(tmp_path, monkeypatch, n_units, n_conditions)
    shutil.rmtree(files.recording)
    for name in ("config.yaml", "fit/curve.csv", "fit/provenance.json"):
        (files.folder / name).unlink()
    page = report.run(files.folder, tmp_path / "report", ReportConfig(title="A & B"))
    assert "A & B" in outline(page).headings
    assert "cannot be listed" in page.read_text(encoding="utf-8")


def test_rates_only_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = evaluated(tmp_path, monkeypatch, 12, 2)
    targets = store.load(files.targets, Targets)
    bare = dataclasses.replace(
        targets, counts=None, rate_test_hz=None, trial_condition=None, trial_is_test=None, trial_id=None,
        units=targets.units.assign(area=""), rate_hz=np.maximum(targets.rate_hz, 0.1),
    )  # fmt: skip
    store.save(files.targets, bare, {}, overwrite=True)
    evaluate_fit(files)
    page = report.run(files.folder, tmp_path / "report", ReportConfig())
    parser, text = outline(page), page.read_text(encoding="utf-8")
    assert "nothing could be held out" in text
    assert "Spikes, recorded beside simulated" not in parser.headings
    assert "By area" not in parser.headings
    assert "Against the ground truth" not in parser.headings


def test_silent_neurons_are_counted_in_the_headline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = evaluated(tmp_path, monkeypatch, 12, 2)
    metrics = pd.read_csv(files.folder / "evaluation" / "metrics.csv")
    metrics.loc[[0, 1], "r_test"] = np.nan
    metrics.loc[[0, 1], "note"] = "model PSTH is silent"
    metrics.to_csv(files.folder / "evaluation" / "metrics.csv", index=False)
    text = report.run(files.folder, tmp_path / "report", ReportConfig()).read_text(encoding="utf-8")
    assert "undefined: 3 trained units (2: model PSTH is silent, 1: recorded PSTH is silent)" in text


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and remembers what was asked for."""

    asked: list[str]

    def log_message(self, format: str, *args: object) -> None:
        self.asked.append(self.path)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
@pytest.mark.parametrize("width", [390, 1280])
def test_in_a_browser(page: Path, tmp_path: Path, width: int) -> None:
    """No error on the console, no request besides the page, nothing wider than the window, with all details open."""
    probe = f"""<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><body><script>
      const frame = document.createElement("iframe");
      frame.style.cssText = "width: {width}px; height: 900px; border: 0";
      frame.onload = () => {{
        const page = frame.contentDocument, root = page.documentElement;
        for (const d of page.querySelectorAll("details")) d.open = true;
        const wide = [...page.body.querySelectorAll("*")].filter(
          (e) => e.getBoundingClientRect().right > {width} + 1 && !e.closest("pre, .table-wrap, svg"));
        const small = [...page.querySelectorAll("svg")].filter((e) => e.getBoundingClientRect().height < 60);
        const result = {{
          width: frame.contentWindow.innerWidth, scroll: root.scrollWidth, wide: wide.map((e) => e.outerHTML.slice(0, 80)),
          small: small.length, sections: page.querySelectorAll("section").length,
          loaded: frame.contentWindow.performance.getEntriesByType("resource").map((e) => e.name),
        }};
        const out = document.createElement("pre");
        out.id = "result";
        out.textContent = JSON.stringify(result);
        frame.remove();
        document.body.append(out);
      }};
      frame.src = "report.html";
      document.body.append(frame);
    </script></body>"""
    shutil.copy(page, tmp_path / "report.html")
    (tmp_path / "probe.html").write_text(probe)
    asked: list[str] = []
    handler = type("Handler", (Quiet,), {"asked": asked})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--disable-quic", "--no-first-run", "--enable-logging=stderr", "--virtual-time-budget=5000",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1600,1000", "--dump-dom",
    ]  # fmt: skip
    try:
        url = f"http://127.0.0.1:{server.server_port}/probe.html"
        done = subprocess.run([str(CHROMIUM), *flags, url], capture_output=True, text=True, timeout=120, check=True)
    finally:
        server.shutdown()
    found = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, flags=re.S)
    assert found is not None, done.stderr
    result = json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert result["width"] == width
    assert result["scroll"] <= width, result["wide"]
    assert result["wide"] == []
    assert result["small"] == 0
    assert result["sections"] >= 6
    assert [name for name in result["loaded"] if not name.startswith("data:")] == []
    assert sorted(set(asked)) == ["/probe.html", "/report.html"]
    assert "CONSOLE" not in done.stderr, done.stderr
