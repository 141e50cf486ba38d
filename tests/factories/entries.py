"""Entries of any state and content, for properties."""

from __future__ import annotations

from hypothesis import strategies as st

from connector.core.entry import Entry, Request, State
from connector.core.record import Partition
from connector.core.tag import HASH_CHARS, Tag

NAME = "invoices"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
optional_texts = st.none() | texts
optional_bytes = st.none() | st.binary(max_size=8)
times = st.integers(0, 2**53)
partitions = st.builds(Partition, st.sampled_from(["documents", "others.v2"]), st.integers(0, 3))
tags = st.builds(
    Tag,
    st.just(NAME),
    partitions,
    st.integers(0, 2**40),
    st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=HASH_CHARS, max_size=HASH_CHARS),
)
requests = st.builds(
    Request,
    run_type=st.sampled_from(["extract", "workflow"]),
    route=texts,
    body=st.binary(max_size=20),
    processor_id=optional_texts,
    document_id=optional_texts,
    metadata=optional_texts,
    file_id=optional_texts,
    file_name=optional_texts,
)


def entries(tag: st.SearchStrategy[Tag] = tags) -> st.SearchStrategy[Entry]:
    """Any entry, also such as the connector would never write; only a followed run always has its id."""
    return st.builds(
        Entry,
        tag=tag,
        state=st.sampled_from(State),
        request=requests,
        key=optional_bytes,
        headers=st.lists(st.tuples(texts, optional_bytes), max_size=3).map(tuple),
        value=optional_bytes,
        source_timestamp=st.none() | times,
        accepted_ms=times,
        nonce=optional_texts,
        attempts=st.integers(0, 1000),
        run_id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
        started_ms=st.none() | times,
        revision=st.integers(0, 2),
        reason=optional_texts,
        adopted=st.booleans(),
        repeats=st.integers(0, 10),
    )
