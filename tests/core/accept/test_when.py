"""Which route takes a record: conditions, their order, and what happens where none holds."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.accept.mapping import mapping_of
from connector.core.accept.path import NotationError
from connector.core.accept.request import resolve
from connector.core.accept.source import Given
from connector.core.accept.when import condition_of, when_of
from connector.core.errors import RecordRejected
from connector.core.reasons import Reason
from connector.core.record import Headers, Record
from connector.core.route import Route
from tests.core.accept.test_path import JSON
from tests.factories.records import TOPIC, decoder, record_of, tag_for

U = "https://files.example.com/in/a.pdf"


def holds(when: Mapping[str, object], record: Record) -> bool:
    return when_of(when).holds(Given(record, decoder))


def record(value: object, *, key: bytes | None = None, headers: Headers = ()) -> Record:
    return record_of(json.dumps(value).encode(), key=key, headers=headers)


VALUE = {"type": "invoice", "pages": 3, "draft": False, "rate": 1.5, "customer": {"country": "AT", "vat": None}}


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, True),
        ({"type": "invoice"}, True),
        ({"type": "receipt"}, False),
        ({"type": ["receipt", "invoice"]}, True),
        ({"customer.country": ["DE", "AT"], "pages": [1, 2, 3]}, True),
        ({"customer.country": ["DE", "AT"], "pages": 4}, False),
        ({"pages": 3.0}, True),
        ({"pages": "3"}, False),
        ({"pages": True}, False),
        ({"draft": False}, True),
        ({"draft": 0}, False),
        ({"rate": 1.5}, True),
        ({"customer": "AT"}, False),
        ({"customer": {"exists": True}}, True),
        ({"customer.vat": {"exists": True}}, False),
        ({"customer.vat": {"exists": False}}, True),
        ({"colour": {"exists": False}}, True),
        ({"colour": "red"}, False),
        ({"type.of": "invoice"}, False),
        ({"header(kind)": "b"}, True),
        ({"header(kind)": "a"}, False),
        ({"header(none)": {"exists": False}}, True),
        ({"key()": '{"tenant": 7}'}, True),
        ({"key(tenant)": 7}, True),
        ({"key(tenant)": "7"}, False),
    ],
)
def test_all_conditions_have_to_hold(when: Mapping[str, object], *, expected: bool) -> None:
    headers = (("kind", b"a"), ("kind", b"b"))
    assert holds(when, record(VALUE, key=b'{"tenant": 7}', headers=headers)) is expected


def test_what_cannot_be_read_does_not_hold() -> None:
    torn = record_of(b"\xff", key=b"\xff", headers=(("kind", b"\xff"),))
    for source in ("type", "key()", "key(a)", "header(kind)"):
        assert not holds({source: "x"}, torn)
        assert not holds({source: {"exists": True}}, torn)
        assert not holds({source: {"exists": False}}, torn)


@pytest.mark.parametrize(
    ("source", "wanted", "said"),
    [
        ("type?", "a", "needs no question mark"),
        ("a..b", "a", "is no path"),
        ("type", None, "write {exists: false}"),
        ("type", [], "at least one"),
        ("type", [["a"]], "must be a text, a number, true or false"),
        ("type", {"exists": "yes"}, "{exists: true}"),
        ("type", {"is": 1}, "{exists: true}"),
        ("header(kind)", 2.1, "in quotes"),
        ("key()", [True], "in quotes"),
    ],
)
def test_what_is_no_condition_is_a_sentence(source: str, wanted: object, said: str) -> None:
    with pytest.raises(NotationError) as caught:
        condition_of(source, wanted)
    assert said in str(caught.value)


SCALARS = st.sampled_from(["a", 1, 2, True, False, 0])
WHENS = st.dictionaries(
    st.sampled_from(["a", "b", "a.b"]),
    SCALARS | st.lists(SCALARS, min_size=1, max_size=3) | st.fixed_dictionaries({"exists": st.booleans()}),
    max_size=2,
)


@given(WHENS, WHENS, JSON | st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=2))
def test_what_implies_another_never_holds_without_it(
    one: dict[str, object], other: dict[str, object], value: object
) -> None:
    first, second = when_of(one), when_of(other)
    if first.implies(second) and first.holds(Given(record(value), decoder)):
        assert second.holds(Given(record(value), decoder))
    assert first.implies(first)


# Routes

ROUTES = (
    Route("elsewhere", "others", run="parse"),
    Route("invoices", TOPIC, run="extract", when=when_of({"type": "invoice"}), mapping=mapping_of({"url": "at"})),
    Route("flagged", TOPIC, run="classify", processor="cl_1", when=when_of({"header(flag)": "yes"})),
    Route("drafts", TOPIC, run="parse", when=when_of({"draft": {"exists": True}}), mapping=mapping_of({"url": "at"})),
)
REST = Route("rest", TOPIC, run="parse")


def chosen(found: Record, *more: Route) -> tuple[str, str]:
    request = resolve(found, (*ROUTES, *more), tag_for(found), decoder)
    return request.route, request.run_type


def test_the_first_route_whose_conditions_hold_takes_the_record() -> None:
    flag = (("flag", b"yes"),)
    assert chosen(record({"type": "invoice", "draft": 1, "at": U}, headers=flag)) == ("invoices", "extract")
    assert chosen(record({"url": U}, headers=flag)) == ("flagged", "classify")
    assert chosen(record({"type": "other", "draft": 1, "at": U})) == ("drafts", "parse")
    assert chosen(record({"url": U}), REST) == ("rest", "parse")


def test_a_record_that_no_route_takes_is_told_with_the_routes_that_were_asked() -> None:
    with pytest.raises(RecordRejected) as caught:
        chosen(record({"type": "receipt"}))
    assert (caught.value.reason, caught.value.stage, caught.value.route) == (Reason.NO_ROUTE, "route", None)
    assert str(caught.value) == (
        "no route of the configuration takes this record; the conditions of invoices, flagged, drafts do not hold"
    )


def test_where_the_value_cannot_be_read_that_is_the_reason_and_not_that_no_route_was_found() -> None:
    with pytest.raises(RecordRejected) as caught:
        chosen(record_of(b"{torn"))
    assert caught.value.reason == Reason.UNDECODABLE


def test_a_route_that_needs_no_value_takes_a_record_whose_value_cannot_be_read() -> None:
    route = Route("text", TOPIC, run="extract", mapping=mapping_of({"text": "header(text)"}))
    assert chosen(record_of(b"\xff", headers=(("text", b"hello"),)), route) == ("text", "extract")


def test_a_reference_that_names_its_own_run_inherits_nothing_of_the_route_that_took_it() -> None:
    found = record({"url": U, "run": "extract", "processor": "ex_9"}, headers=(("flag", b"yes"),))
    request = resolve(found, ROUTES, tag_for(found), decoder)
    assert (request.route, request.run_type, request.processor_id) == ("flagged", "extract", "ex_9")
