"""Recordings of one subject for the replay source, with the truth beside them."""

import io
import json
from pathlib import Path

from formats import recording as recording_format
from onebyte.errors import UserError
from onebyte.training.datasets import Dataset
from onebyte.training.recipe import Recipe

__all__ = ["recording", "write_recording"]


def recording(dataset: Dataset, subject: str) -> tuple[bytes, list[int], list[int]]:
    """Return all recordings of one group as one `.obr` file.

    Returns:
        The file, the rows of each segment (one a recording) and the class id of each segment.
    """
    mine = [item for item in dataset.recordings if item.group == subject]
    if not mine:
        raise UserError(f"no recording of {subject!r}; there are {', '.join(dataset.groups)}")
    file = io.BytesIO()
    n_channels = mine[0].samples.shape[1]
    rows = [item.samples.astype("<i2").tobytes() for item in mine]
    lengths = [len(item.samples) for item in mine]
    file.write(recording_format.pack_header(n_channels, dataset.rate_mhz, lengths))
    file.write(b"".join(rows))
    return file.getvalue(), lengths, [item.class_id for item in mine]


def write_recording(dataset: Dataset, recipe: Recipe, subject: str, out: Path) -> Path:
    """Write `out` and, beside it, the truth as JSON; return the path of the JSON."""
    data, lengths, class_ids = recording(dataset, subject)
    labels = list(recipe.labels.values())
    truth = {
        "subject": subject,
        "labels": labels,
        "segments": [
            {"rows": rows, "class_id": class_id, "label": labels[class_id]}
            for rows, class_id in zip(lengths, class_ids, strict=True)
        ],
    }
    beside = out.with_suffix(".json")
    out.write_bytes(data)
    beside.write_text(json.dumps(truth, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return beside
