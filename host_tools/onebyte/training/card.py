"""The model card: MODEL.md and its plots, all from metrics.json."""

import json
from pathlib import Path
from typing import Any

import matplotlib

from onebyte.training import calibrate
from onebyte.training.recipe import Recipe

matplotlib.use("Agg")
from matplotlib import pyplot as plt

__all__ = ["write"]

_PLOT = {"dpi": 110, "bbox_inches": "tight", "metadata": {"Software": None}}


def write(recipe: Recipe, metrics: dict[str, Any]) -> None:
    """Write MODEL.md and the plots beside the recipe."""
    folder = recipe.path.parent
    _plot_confusion(metrics, folder / "confusion.png")
    if metrics["per_group"]:
        _plot_groups(metrics, folder / "groups.png")
    text = "\n".join(_card(recipe, metrics))
    (folder / "MODEL.md").write_text(text, encoding="utf-8")


def _card(recipe: Recipe, metrics: dict[str, Any]) -> list[str]:
    parts = [
        [
            f"# Model card: {recipe.title or recipe.name}",
            "",
            f"Written by `onebyte train`, version {recipe.version}; the data are described in "
            "[DATASET.md](DATASET.md), every number comes from [metrics.json](metrics.json).",
        ],
        _figures(recipe, metrics),
        _groups(metrics),
        _classes(metrics),
        _sizes(recipe),
        _agreement(metrics),
        _decision(recipe, metrics),
        _limits(recipe),
        _features(metrics),
    ]
    return [line for part in parts if part for line in (*part, "")]


def _figures(recipe: Recipe, metrics: dict[str, Any]) -> list[str]:
    model = metrics["model"]
    how = (
        "leave-one-group-out"
        if recipe.validation == "leave_one_group_out"
        else "the data set's own test half"
    )
    lines = [
        "## Figures",
        "",
        "| | |",
        "|---|---|",
        f"| macro F1, {how} | **{metrics['macro_f1']:.3f}** |",
        f"| accuracy, {how} | {metrics['accuracy']:.3f} |",
        f"| data | {metrics['windows']} tested windows; {metrics['recordings']} recordings |",
        f"| model.obm | {model['model_bytes']} bytes, SHA-256 `{model['sha256'][:16]}...` |",
        f"| ensemble | {recipe.classifier.n_trees} trees, {model['nodes']} nodes, "
        f"{model['rows']} rows of votes |",
        f"| features | {model['features']} of {len(recipe.features)} candidates |",
        *(
            [
                f"| holdout.obm, trained without group {metrics['holdout']['group']} | "
                f"{metrics['holdout']['model_bytes']} bytes |"
            ]
            if "holdout" in metrics
            else []
        ),
        f"| work memory | {model['work_bytes']} bytes |",
        f"| features of one window on the training host | {model['host_us_per_window']} us |",
        "",
        "Every figure is from windows of a group that the model had not seen: feature selection, "
        "training, quantization and novelty ranges are done anew in each fold, and the quantized "
        "file is run by the device's kernels."
        if recipe.validation == "leave_one_group_out"
        else "The file was trained on the training half only and run on the test half by the "
        "device's kernels.",
    ]
    if recipe.validation_note:
        lines.append(recipe.validation_note)
    return lines + [f"{note}." for note in metrics["notes"]]


def _groups(metrics: dict[str, Any]) -> list[str]:
    if not metrics["per_group"]:
        return []
    lines = [
        "## By group",
        "",
        "![](groups.png)",
        "",
        "| group | macro F1 | accuracy | windows |",
        "|---|---|---|---|",
    ]
    return lines + [
        f"| {name} | {v['macro_f1']:.3f} | {v['accuracy']:.3f} | {v['windows']} |"
        for name, v in metrics["per_group"].items()
    ]


def _classes(metrics: dict[str, Any]) -> list[str]:
    lines = ["## By class", "", "![](confusion.png)", "", "| class | F1 |", "|---|---|"]
    return lines + [
        f"| {label} | {value:.3f} |" for label, value in metrics["per_class_f1"].items()
    ]


def _sizes(recipe: Recipe) -> list[str]:
    """Return what `onebyte pareto` left beside the recipe, if it ran."""
    path = recipe.path.with_name("pareto.json")
    if not path.exists():
        return []
    summary = json.loads(path.read_text())
    lines = [
        "## Size against accuracy",
        "",
        f"From `onebyte pareto models/{recipe.name}`, all of it in [pareto.csv](pareto.csv). The "
        "bytes are of the whole model file without golden vectors, the mean of the folds. Each "
        "point is held out, but the best of many is optimistic.",
        "",
        "![](pareto.png)",
        "",
        "| bytes | macro F1 | features | trees | leaves each | bits of a leaf's votes |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['model_bytes']} | {row['macro_f1']:.3f} | {row['features']} | {row['n_trees']} "
        f"| {row['max_leaf_nodes']} | {row['leaf_bits'] or 'one vote'} |"
        for row in summary["front"]
    ]
    lines += ["", *_smallest(summary)]
    honest = summary["nested"]
    if honest:
        lines += [
            "",
            "Without that optimism: where the setting, too, is chosen for each group by the other "
            f"groups alone (nested, files of at most {honest['limit_bytes']} bytes), macro F1 is "
            f"**{honest['macro_f1']:.3f}** and accuracy {honest['accuracy']:.3f}.",
        ]
    return lines


def _smallest(summary: dict[str, Any]) -> list[str]:
    rows = {bound: summary[f"smallest_{bound}"] for bound in ("0.80", "0.85")}
    return [
        f"The smallest that keeps macro F1 {bound}: **{row['model_bytes']} bytes** "
        f"({row['macro_f1']:.3f}; {row['features']} features, {row['n_trees']} trees)."
        for bound, row in rows.items()
        if row
    ]


def _agreement(metrics: dict[str, Any]) -> list[str]:
    counts = metrics["model"]["agreement"]
    same = counts["windows"] - counts["emlearn_differs"]
    return [
        "## Agreement",
        "",
        f"* The device's kernels and the Python reference of the forest: "
        f"{metrics['kernel_differs_from_reference']} of {metrics['windows']} held-out windows "
        f"differ in any vote; with model.obm {counts['reference_differs']} of all "
        f"{counts['windows']}.",
        f"* The kernels and emlearn's C with the same forest: the same class in {same} of "
        f"{counts['windows']} windows. emlearn adds floats and the kernels integers, so an exact "
        f"tie of votes may end differently: {counts['emlearn_differs_without_tie']} of the "
        f"{counts['emlearn_differs']} differences are not such a tie.",
        f"* scikit-learn's unquantized ensemble: the same class in "
        f"{metrics['agreement_float']:.2%} of the held-out windows; its macro F1 is "
        f"{metrics['macro_f1_float']:.3f}.",
    ]


def _decision(recipe: Recipe, metrics: dict[str, Any]) -> list[str]:
    rules = recipe.decision
    bounds = metrics["model"]["levels"]
    lines = [
        "## Decision",
        "",
        f"A class is decided when {rules.k} of the last {rules.n} windows voted for it. With that "
        f"macro F1 is {metrics['smoothed_macro_f1']:.3f}, counting the "
        f"{metrics['smoothed_undecided']:.1%} undecided windows as wrong. Where every recording "
        "holds a single class this flatters: nothing changes in the middle.",
        "",
        "Confidence levels, from held-out windows: at level l at least this share was right.",
        "",
        "| level | " + " | ".join(str(i + 1) for i in range(len(bounds))) + " |",
        "|---" * (len(bounds) + 1) + "|",
        "| share | " + " | ".join(f"{share:.0%}" for share in calibrate.LEVEL_SHARES) + " |",
        "| confidence from | " + " | ".join(map(str, bounds)) + " |",
    ]
    if rules.novelty_false_rate is not None:
        aurocs = metrics["novelty_auroc"]
        lines += [
            "",
            f"A window is novel from a score of {metrics['model']['novelty_threshold']}, which "
            f"at most {rules.novelty_false_rate:.1%} of the held-out windows of known classes "
            "reach. How well the score tells a class that was left out of the ranges (AUROC, 0.5 "
            "is chance, held-out groups): "
            + ", ".join(f"{label} {value:.2f}" for label, value in aurocs.items())
            + f"; mean {sum(aurocs.values()) / len(aurocs):.2f}. Near 0.5 the flag does not "
            "notice that class: it is about values beyond those of training, not about unknown "
            "classes.",
        ]
    return lines


def _limits(recipe: Recipe) -> list[str]:
    return [
        "## Use",
        "",
        f"It says which of its {len(recipe.labels)} classes fits best; it does not know that "
        "something else may happen, beyond the novelty flag. See DATASET.md for who and what was "
        "recorded.",
    ]


def _features(metrics: dict[str, Any]) -> list[str]:
    return ["## Features", "", ", ".join(f"`{n}`" for n in metrics["model"]["feature_names"])]


def _plot_confusion(metrics: dict[str, Any], path: Path) -> None:
    labels = list(metrics["per_class_f1"])
    counts = metrics["confusion"]
    figure, axes = plt.subplots(figsize=(1.6 + 0.75 * len(labels), 1.2 + 0.6 * len(labels)))
    shares = [[count / max(1, sum(row)) for count in row] for row in counts]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            color = "white" if shares[i][j] > 0.5 else "black"
            axes.text(j, i, str(count), ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("said")
    axes.set_ylabel("true")
    axes.set_title(f"Held-out windows, macro F1 {metrics['macro_f1']:.3f}")
    figure.savefig(path, **_PLOT)
    plt.close(figure)


def _plot_groups(metrics: dict[str, Any], path: Path) -> None:
    names = list(metrics["per_group"])
    values = [metrics["per_group"][name]["macro_f1"] for name in names]
    figure, axes = plt.subplots(figsize=(6, 3))
    axes.bar(names, values, color="#3b6ea5")
    axes.axhline(metrics["macro_f1"], color="black", linewidth=0.8, linestyle="--")
    axes.set_ylim(0, 1)
    axes.set_xlabel("held-out group")
    axes.set_ylabel("macro F1")
    figure.savefig(path, **_PLOT)
    plt.close(figure)
