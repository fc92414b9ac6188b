"""Contracts as JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.contract import FORMAT_VERSION, Band, ClassInfo, Contract, Dim, ModelInput, ModelOutput
from geodl.errors import ContractError

_NAMES = st.text(min_size=1, max_size=8)
_NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
_BANDS = st.builds(Band, _NAMES, _NAMES, st.just("uint16"), st.floats(0.1, 9), st.floats(-9, 9), _NUMBERS)
_CLASSES = st.builds(ClassInfo, st.integers(0, 255), _NAMES, st.just("#0a0b0c"))
_DIMS = st.builds(Dim, _NAMES, st.none() | st.integers(1, 512), margin=st.none() | st.integers(0, 99), step=_NUMBERS)


def few(items: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(items, max_size=3).map(tuple)


CONTRACTS = st.builds(
    Contract,
    _NAMES,
    st.builds(ModelInput, few(_DIMS), few(_BANDS), resample=st.none() | st.just("cubic")),
    st.builds(ModelOutput, st.just("classes"), few(_CLASSES), few(_BANDS), nodata=_NUMBERS),
)


@given(CONTRACTS)
def test_json_gives_the_contract_back(contract: Contract) -> None:
    assert Contract.from_json(contract.to_json()) == contract


def example() -> dict:
    contract = Contract("segmentation", ModelInput((Dim("y"),), (Band("B02"),)), ModelOutput("classes"))
    return json.loads(contract.to_json())


def test_newer_versions_are_refused_by_number() -> None:
    content = {**example(), "format_version": FORMAT_VERSION + 1}
    with pytest.raises(ContractError, match=f"format_version {FORMAT_VERSION + 1}. Expected 1 to {FORMAT_VERSION}"):
        Contract.from_json(json.dumps(content))


def test_what_an_older_version_could_not_say_has_its_default() -> None:
    content = {**example(), "format_version": 1}
    del content["input"]["resample"]
    contract = Contract.from_json(json.dumps(content))
    assert contract.input.resample is None
    # Written again it holds what only this version knows, and says so.
    assert json.loads(contract.to_json())["format_version"] == FORMAT_VERSION


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": "1"}', "null"])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ContractError):
        Contract.from_json(text)


def test_unknown_content_is_named_with_its_place() -> None:
    content = example()
    content["input"]["bands"][0]["colour"] = "blue"
    with pytest.raises(ContractError, match=r"contract\.input\.bands\[0\]: unknown content colour"):
        Contract.from_json(json.dumps(content))


def test_an_axis_is_found_by_name() -> None:
    eats = ModelInput((Dim("y", margin=3), Dim("x")), ())
    assert eats.dim("y").margin == 3
    with pytest.raises(ContractError, match="no axis 'time'. Expected one of: y, x"):
        eats.dim("time")
