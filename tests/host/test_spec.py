"""docs/SPEC.md, the Python codecs and the C kernels name the same numbers."""

import re
from pathlib import Path

import sample_model

from formats import errors, features_table, messages, model, model_pack, result, topics, trees
from onebyte import inspect

ROOT = Path(__file__).parents[2]
SPEC = (ROOT / "docs/SPEC.md").read_text(encoding="utf-8")
HEADER = (ROOT / "lib/native/kernels/onebyte.h").read_text(encoding="utf-8")


def section(title: str) -> str:
    """Return the text from a heading to the next one of the same level or higher."""
    level = title.split(" ", 1)[0]
    found = re.search(
        rf"^{re.escape(title)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", SPEC, re.MULTILINE | re.DOTALL
    )
    assert found, title
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all tables whose first cell is a number, backquotes removed."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip().strip("`") for cell in line] for line in lines]
    return [line for line in cells if line[0].isdigit()]


def enum(name: str) -> dict[str, int]:
    """Return the members of a C enum that are written as numbers, without their prefix."""
    found = re.search(rf"enum {name} {{(.*?)}};", HEADER, re.DOTALL)
    assert found, name
    return {key: int(value) for key, value in re.findall(r"OB_(\w+) = (\d+),", found[1])}


def python_codes() -> dict[str, int]:
    return {
        key: value
        for key, value in vars(errors).items()
        if key.isupper() and isinstance(value, int)
    }


def test_reason_codes_are_those_of_the_spec() -> None:
    listed = rows(section("## Reason codes"))
    assert {name: int(code) for code, name, _ in listed} == python_codes()
    assert len({code for code, *_ in listed}) == len(listed), "a code stands there twice"
    assert [int(code) for code, *_ in listed] == sorted(int(code) for code, *_ in listed)
    for code, name, _ in listed:
        assert errors.name(int(code)) == name


def test_reason_codes_are_those_of_the_kernels() -> None:
    in_c = enum("ob_reason")
    assert in_c.pop("OK") == 0
    in_c["KERNEL_VERSION"] = in_c.pop("REASON_KERNEL_VERSION")
    assert in_c == {name: code for name, code in python_codes().items() if code < 40}


def test_order_of_checks_names_every_reason_of_a_file() -> None:
    text = section("### Order of checks")
    for name, code in python_codes().items():
        if code < 40:
            assert re.search(rf"\b{name}\b", text), name


def test_ops_are_those_of_the_spec_and_the_kernels() -> None:
    features = {name: op for op, (name, _) in enumerate(features_table.FEATURES, 1)}
    streams = {name: 64 + i for i, name in enumerate(features_table.STREAM_NAMES)}
    ours = features | streams
    listed = {name: int(op) for op, name, *_ in rows(section("## Features"))}
    assert listed == ours
    in_c = {key.removeprefix("OP_").lower(): value for key, value in enum("ob_op").items()}
    assert in_c == ours
    for name, op in features.items():
        assert features_table.feature_op(name) == op and features_table.feature_name(op) == name
    for name, op in streams.items():
        assert features_table.stream_op(name) == op and features_table.stream_name(op) == name
    assert features_table.feature_op("nosuch") == features_table.stream_op("nosuch") == 0


def test_the_spec_says_which_arguments_a_feature_has() -> None:
    for op, _, arguments, _ in rows(section("## Features"))[len(features_table.STREAM_NAMES) :]:
        names = features_table.feature_arguments(int(op))
        n_named = (
            2
            if arguments in ("same", "same, arg0 >= 1")
            else len(set(re.findall(r"arg\d", arguments)))
        )
        assert len(names) == n_named, (op, arguments)


def test_section_kinds_are_those_of_the_spec_and_the_kernels() -> None:
    titles = re.findall(r"^### (\d) (.*?)(?: \(optional\))?$", SPEC, re.MULTILINE)
    assert [(int(kind), title) for kind, title in titles] == list(
        enumerate(inspect.SECTION_NAMES, 1)
    )
    in_c = enum("ob_section_kind")
    for key, value in in_c.items():
        assert getattr(model, key.removeprefix("SECTION_")) == value
    assert len(in_c) == model.LAST_KIND == len(titles)


def test_limits_are_those_of_the_kernels() -> None:
    limits = enum("ob_limits")
    ours = {
        "MAX_FILE_BYTES": model.MAX_BYTES,
        "MIN_FILE_BYTES": model.MIN_BYTES,
        "HEADER_BYTES": model.HEADER_BYTES,
        "SECTION_ENTRY_BYTES": model.ENTRY_BYTES,
        "MAX_SECTIONS": model.MAX_SECTIONS,
        "MAX_CLASSES": result.MAX_CLASSES[result.B],
        "MAX_TREES": trees.MAX_TREES,
        "MAX_ROWS": trees.MAX_ROWS,
        "MAX_DEPTH": trees.MAX_DEPTH,
    }
    assert {name: limits[name] for name in ours} == ours
    assert f"#define OB_KERNEL_VERSION {model.KERNEL_VERSION} " in HEADER
    assert f"#define OB_FORMAT_VERSION {model.VERSION}\n" in HEADER


def test_result_reasons_units_and_keys_are_those_of_the_spec() -> None:
    reasons = [line for line in rows(section("## Result byte")) if len(line) == 3]
    listed = {int(code): name for code, name, _ in reasons}
    assert [listed[code] for code in range(8)] == list(result.REASONS)
    units = ", ".join(f"{i} {unit}" for i, unit in enumerate(model.UNITS))
    assert f"Units: {units}." in SPEC.replace("\n", " ")
    for keys, title in (
        (messages.META_KEYS, "### Meta message"),
        (messages.STATUS_KEYS + messages.OPTIONAL_KEYS, "### Status message"),
        (messages.RESEND_KEYS, "### Command message"),
    ):
        for key in keys:
            assert f"`{key}`" in section(title), key
    for kind in topics.KINDS:
        assert f"| `ob/<tenant>/<device>/{kind}` |" in SPEC


def test_packer_knows_every_attribute_of_a_model() -> None:
    attributes = {*vars(model.Model), *vars(model.parse(sample_model.pack()))}
    for name in (*model_pack.NEEDED, *model_pack.OPTIONAL):
        assert name in attributes or name == "rows", name
