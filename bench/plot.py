"""The figures as one picture: processor time as ratios, and delays by the number of calls."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from bench.report import NAMES

Json = dict[str, Any]

COLOURS = {"bare": "#9aa0a6", "relay": "#e8a33d", "stock": "#c5504b", "putthrough": "#1f6f8b"}


def plot(document: Json, path: Path) -> None:
    """Draw a summary.

    Args:
        document: The summary.
        path: Where the picture goes; a PNG.
    """
    figure, (cpu, up) = plt.subplots(1, 2, figsize=(13, 4.6), width_ratios=(1, 1.6), layout="constrained")
    _draw_cpu(cpu, document)
    _draw_delays(up, document)
    figure.savefig(path, dpi=150, metadata={"Software": None})
    plt.close(figure)


def _draw_cpu(axes: Any, document: Json) -> None:
    calls, level = next(iter(document["levels"].items()))
    yardstick = "bare" if "bare" in document["servers"] else document["servers"][0]
    names = [name for name in document["servers"] if level[name].get("cpu_ratio", {}).get(yardstick)]
    ratios = [level[name]["cpu_ratio"][yardstick] for name in names]
    bars = axes.barh([NAMES[name] for name in names], ratios, color=[COLOURS[name] for name in names])
    axes.bar_label(bars, [f"{ratio:.1f}×" for ratio in ratios], padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_title(f"Processor time of a call\n({NAMES[yardstick]} = 1, {calls} calls at once)", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_delays(axes: Any, document: Json) -> None:
    for name in document["servers"]:
        steps = [step for step in document["ramp"].get(name, []) if step["up"] and step["rig_holds"]]
        levels = [level[name] for level in document["levels"].values() if level[name].get("up")]
        by_calls = {point["calls"]: point for point in [*steps, *levels]}  # the medians of the rounds count first
        points = [by_calls[calls] for calls in sorted(by_calls)]
        if not points:
            continue
        calls = [point["calls"] for point in points]
        style = {"color": COLOURS[name], "marker": "o", "markersize": 4}
        axes.plot(calls, [point["up"]["p50"] for point in points], **style, label=f"{NAMES[name]}, p50")
        axes.plot(calls, [point["up"]["p99"] for point in points], **style, linestyle=":", label=f"{NAMES[name]}, p99")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("calls at once on one core")
    axes.set_ylabel("ms")
    axes.set_title("Delay added from the caller to the model", fontsize=11)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
