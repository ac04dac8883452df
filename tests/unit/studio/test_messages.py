"""Frames and states: they come as they were sent, and what strangers send raises nothing but `UserError`."""

import json
import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.data.classes import SEVEN
from facemill.errors import UserError
from facemill.studio.messages import MOST_HEADER, Slider, State, Style, check_mask, pack, unpack

STATE = {
    "n": 17,
    "styles": [{"seed": 7}, {"z": [0.5, -1.25]}],
    "mix": 0.25,
    "truncation": 0.5,
    "sliders": {"hair_color": {"from": None, "to": "grey_hair", "amount": -0.5}},
    "size": [2, 3],
    "moving": True,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*STATE, "seed", "z"]), inner),
    max_leaves=10,
)


def framed(header: str | bytes, body: bytes = b"") -> bytes:
    encoded = header.encode() if isinstance(header, str) else header
    return struct.pack("<I", len(encoded)) + encoded + body


def test_a_state_comes_as_it_was_sent():
    state, body = unpack(pack(STATE, b"abcdef"), State)
    assert body == b"abcdef"
    assert state == State(
        n=17,
        styles=[Style(seed=7), Style(z=[0.5, -1.25])],
        mix=0.25,
        truncation=0.5,
        sliders={"hair_color": Slider("grey_hair", -0.5)},
        size=(2, 3),
        moving=True,
    )
    again, _ = unpack(pack(msgspec.to_builtins(state)), State)
    assert again == state


def test_several_parts_have_their_sizes_in_the_header():
    frame = pack({"size": [1, 2]}, b"ab", b"", b"cde")
    assert json.loads(frame[4 : 4 + frame[0]]) == {"size": [1, 2], "parts": [2, 0, 3]}
    assert frame.endswith(b"abcde")


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"size": [0, 3]}, "size"),
        ({"size": [2, 1025]}, "size"),
        ({"size": [2]}, "size"),
        ({"size": [2.5, 3]}, "size"),
        ({"styles": []}, "styles"),
        ({"styles": [{"seed": 1}] * 3}, "styles"),
        ({"styles": [{}]}, "one of seed, portrait and z"),
        ({"styles": [{"seed": 1, "portrait": 2}]}, "one of seed, portrait and z"),
        ({"styles": [{"seed": -1}]}, "seed"),
        ({"styles": [{"seed": True}]}, "seed"),
        ({"styles": [{"z": [101]}]}, "z"),
        ({"styles": [{"z": [0] * 5000}]}, "z"),
        ({"mix": 1.1}, "mix"),
        ({"mixed": "hair"}, "mixed"),
        ({"colors": {"hair": "red"}}, "colors"),
        ({"colors": {"hair": "#ff00800"}}, "colors"),
        ({"truncation": -1.1}, "truncation"),
        ({"sliders": {"hair_color": {"to": "grey_hair", "amount": 3.5}}}, "amount"),
        ({"sliders": {"hair_color": {"amount": 1}}}, "to"),
        ({"n": "17"}, "n"),
        ({"photo": 3}, "unknown field `photo`"),
    ],
)
def test_other_states_are_refused_by_name(changed, fault):
    with pytest.raises(UserError, match=fault) as raised:
        unpack(pack(STATE | changed), State)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\1\0",
        struct.pack("<I", 5) + b"{}",
        framed("{}"),
        framed(json.dumps(STATE).replace("0.25", "NaN")),
        framed(json.dumps(STATE).replace("0.25", "1e999")),
        framed(b"\xff\xfe{}"),
        framed("[" * 100_000),
        framed(" " * MOST_HEADER + json.dumps(STATE)),
    ],
)
def test_what_is_no_frame_of_a_state_is_refused(frame):
    with pytest.raises(UserError):
        unpack(frame, State)


@settings(max_examples=300, deadline=None)
@given(JSON | st.fixed_dictionaries(dict.fromkeys(STATE, JSON)), st.binary(max_size=8))
def test_no_json_is_a_fault_of_ours(header, body):
    try:
        state, rest = unpack(framed(json.dumps(header), body), State)
    except UserError:
        return
    assert rest == body and np.isfinite([state.mix, state.truncation]).all()


def test_a_mask_is_checked_against_its_size_and_its_classes():
    mask = check_mask(bytes([0, 6, 255, 1, 2, 3]), (2, 3), SEVEN)
    assert mask.dtype == np.uint8 and mask.tolist() == [[0, 6, 255], [1, 2, 3]]
    for body in (bytes(5), bytes(7), b""):
        with pytest.raises(UserError, match=f"2 x 3 pixels has {len(body)} bytes; accepted: 6"):
            check_mask(body, (2, 3), SEVEN)
    with pytest.raises(UserError, match="class id 200; accepted: 0 to 6 and 255"):
        check_mask(bytes([0, 0, 200, 0, 0, 0]), (2, 3), SEVEN)
