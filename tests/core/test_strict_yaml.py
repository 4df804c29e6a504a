"""YAML that is read as it was meant, or refused with the line and what to write."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml

from benchmark.core.strict_yaml import dump_yaml, load_yaml


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 100000.0),
        ("-1.5e+3", -1500.0),
        (".5", 0.5),
        ("1_000", 1000),
        ("-0", 0),
        ("0.1", 0.1),
        ("true", True),
        ("FALSE", False),
        ("", None),
        ("~", None),
        ("yes", "yes"),
        ("off", "off"),
        ("2024-01-01", "2024-01-01"),
        ("2024-13-45", "2024-13-45"),
        ("=", "="),
        ("1.2.3", "1.2.3"),
        ("'010'", "010"),
        ('"1:30"', "1:30"),
        ("[a, 1]", ["a", 1]),
    ],
)
def test_values_are_what_they_look_like(written: str, value: Any) -> None:
    found = load_yaml(f"key: {written}")["key"]
    assert found == value
    assert type(found) is type(value)


def test_infinity_is_written_with_a_dot() -> None:
    assert load_yaml("[.inf, -.inf]") == [math.inf, -math.inf]


def test_every_key_is_a_text() -> None:
    written = "no: a\n1: b\n2024-01-01: c\n010: d\n1:30: e\nnull: f\n1e3: g\n"
    assert list(load_yaml(written)) == ["no", "1", "2024-01-01", "010", "1:30", "null", "1e3"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: the key 'a' is there twice, the first time in line 1"),
        ("x: {b: 1, 'b': 2}", "line 1: the key 'b' is there twice"),
        ("1: a\n'1': b\n", "line 2: the key '1' is there twice"),
        ("a: 010", "line 1: '010' is another number .* in quotes if it is a text"),
        ("a: 0x1F", "'0x1F' is another number"),
        ("a: 1:30", "'1:30' is another number"),
        ("a: -1:30:00.5", "is another number"),
        ("a: 007.5", "'007.5' is another number"),
        ("a: !!int 010", "'010' is not an integer"),
        ("a: !!bool yes", "'yes' is not true or false"),
        ("a: 12e3456", "too large a number"),
        ("? [a]\n: b", "a key must be a text, not a list or mapping"),
        ('a: "\\ud800"', "half of a character"),
        ("a: !!timestamp 2024-01-01", "not valid YAML: line 1: could not determine a constructor"),
        ("a: b: c", "not valid YAML: line 1: mapping values are not allowed here"),
        ("a: [", "not valid YAML: line 1"),
        ("a: b\nc: \x01", "not valid YAML: line 2: character 1 is not allowed"),
        ("a: 1\n---\nb: 2", "expected a single document in the stream, but found another"),
        ("[" * 9999, "nested too deeply"),
        ("a: " + "9" * 9999, "an integer of too many digits"),
    ],
)
def test_what_others_may_read_otherwise_is_refused(written: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        load_yaml(written)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_merged_keys_give_way_to_those_written_out() -> None:
    content = load_yaml("b: &b {x: 1, y: 2}\nc: &c\n  <<: *b\n  x: 3\nd: {<<: *c, y: 9}\n")
    assert content["c"] == {"x": 3, "y": 2}
    assert content["d"] == {"x": 3, "y": 9}


def test_texts_that_look_like_something_else_survive_a_round_trip() -> None:
    texts = [
        "1e-3",
        "1e5",
        "010",
        "0o17",
        "0x1F",
        "1:30",
        "yes",
        "2024-01-01",
        "~",
        "",
        "<<",
        "1_0",
    ]
    content = {"texts": texts, "numbers": [1e-5, 2.0, 3, True, None], **dict.fromkeys(texts, 1)}
    assert load_yaml(dump_yaml(content)) == content
    assert yaml.safe_load(dump_yaml(content)) == content
