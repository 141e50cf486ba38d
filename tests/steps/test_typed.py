"""Routes with typed results: the record beside the envelope, on topics of the route's own."""

from __future__ import annotations

from structlog.testing import capture_logs

from connector.core.typed.json_schema import read_schema
from connector.core.typed.typed_results import TypedResults, typed_schema
from connector.schema_files import load_schema
from tests.fakes.virtual_time import virtually
from tests.steps.world import OTHER, P0, TYPED_PREFIX, Options, World, world

ENVELOPE = load_schema("run_result")
SCHEMA = typed_schema(
    ENVELOPE,
    "documents",
    read_schema({"type": "object", "properties": {"total": {"type": "number"}, "note": {"type": "string"}}}),
)
TYPED = TypedResults(SCHEMA, ENVELOPE, "extract")


def typed_results(w: World) -> list[dict[str, object]]:
    """What is on the route's own topic of processed runs."""
    return [TYPED.codec.decode(record.value or b"") for record in w.kafka.topics[f"{TYPED_PREFIX}.processed"]]


@virtually
async def test_a_value_that_fits_comes_beside_one_that_does_not() -> None:
    async with world(Options(typed={"documents": TYPED})) as w:
        w.api.outputs = {"run_1": b'{"value":{"total":1.5},"metadata":{}}', "run_2": b'{"value":{"total":"secret"}}'}
        w.send(2)
        await w.until(lambda: len(typed_results(w)) == 2)
        by_run = {str(result["run_id"]): result for result in typed_results(w)}
        assert by_run["run_1"]["value"] == {"total": 1.5, "note": None}
        assert by_run["run_1"]["output"] == '{"value":{"total":1.5},"metadata":{}}'
        assert by_run["run_1"]["value_error"] is None
        assert by_run["run_2"]["value"] is None
        assert by_run["run_2"]["output"] == '{"value":{"total":"secret"}}'
        assert "at total: a text does not fit a double" in str(by_run["run_2"]["value_error"])
        assert w.sample("typed_values_total", route="documents", fit="part") == 1
        assert w.sample("typed_values_total", route="documents", fit="none") == 1
        assert w.results() == []


@virtually
async def test_an_output_that_the_value_holds_whole_is_not_sent_twice() -> None:
    async with world(Options(typed={"documents": TYPED})) as w:
        w.api.outputs = {"run_1": b'{"value":{"total":1.5}}'}
        w.send()
        await w.until(lambda: typed_results(w))
        (result,) = typed_results(w)
        assert (result["value"], result["output"], result["output_state"]) == (
            {"total": 1.5, "note": None},
            None,
            "typed",
        )
        assert w.sample("typed_values_total", route="documents", fit="whole") == 1


@virtually
async def test_an_end_without_an_output_has_no_value_and_no_complaint() -> None:
    async with world(Options(typed={"documents": TYPED})) as w:
        w.api.always_shows = ("FAILED",)
        w.api.outputs = {"run_1": None}
        w.send()
        await w.until(lambda: w.kafka.topics[f"{TYPED_PREFIX}.failed"])
        (record,) = w.kafka.topics[f"{TYPED_PREFIX}.failed"]
        result = TYPED.codec.decode(record.value or b"")
        assert (result["value"], result["value_error"]) == (None, None)
        assert w.sample("typed_values_total", route="documents", fit="none") == 0


@virtually
async def test_what_the_topic_cannot_take_loses_the_output_and_then_the_value() -> None:
    for limit, states in ((4500, ("omitted", True)), (2500, ("omitted", False))):
        async with world(Options(typed={"documents": TYPED}, limit=limit)) as w:
            w.api.outputs = {"run_1": b'{"value":{"note":"' + b"x" * 3000 + b'"},"metadata":"' + b"x" * 3000 + b'"}'}
            w.send()
            await w.until(lambda: typed_results(w))
            (result,) = typed_results(w)
            assert result["output"] is None
            assert (result["output_state"], result["value"] is not None) == states
            assert "The output is left out" in str(result["value_error"])


@virtually
async def test_a_number_that_no_parser_takes_leaves_the_value_out_and_the_worker_running() -> None:
    async with world(Options(typed={"documents": TYPED})) as w:
        w.api.outputs = {"run_1": b'{"value":{"total":1e-9999999999999999999}}'}
        w.send(2)
        await w.until(lambda: len(typed_results(w)) == 2)
        by_run = {str(result["run_id"]): result for result in typed_results(w)}
        assert by_run["run_1"]["output"] == '{"value":{"total":1e-9999999999999999999}}'
        assert "exponent" in str(by_run["run_1"]["value_error"])


@virtually
async def test_an_output_many_times_the_topics_limit_is_not_made_a_value() -> None:
    async with world(Options(typed={"documents": TYPED}, limit=2500)) as w:
        w.api.outputs = {"run_1": b'{"value":{"note":"' + b"x" * 4 * 2500 + b'"}}'}
        w.send()
        await w.until(lambda: typed_results(w))
        (result,) = typed_results(w)
        assert "more than 4 times" in str(result["value_error"])
        assert w.sample("typed_values_total", route="documents", fit="none") == 1


@virtually
async def test_logs_show_nothing_of_what_the_document_says() -> None:
    with capture_logs() as logs:
        async with world(Options(typed={"documents": TYPED})) as w:
            w.api.outputs = {"run_1": b'{"value":{"new":{"John Smith":1,"John Smith":2}}}'}
            w.send()
            await w.until(lambda: typed_results(w))
            (result,) = typed_results(w)
    assert "John Smith" in str(result["value_error"])
    assert "John Smith" not in str(logs)
    assert "value_left_out" in str(logs)


@virtually
async def test_a_result_that_fits_on_the_routes_own_topic_is_no_end_of_ours() -> None:
    async with world(Options(typed={"documents": TYPED})) as w:
        w.send()
        await w.until(lambda: typed_results(w))
        assert w.sample("own_ends_total", reason="CONNECTOR_RESULT_TOO_LARGE") == 0


@virtually
async def test_credits_that_come_back_are_not_counted_and_end_nothing() -> None:
    async with world(Options(typed={"documents": TYPED})) as w:
        w.api.credits = -5.0
        w.send(2)
        await w.until(lambda: len(typed_results(w)) == 2)
        assert [result["credits"] for result in typed_results(w)] == [-5.0, -5.0]
        assert w.sample("credits_total", route="documents") == 0


@virtually
async def test_other_routes_stay_as_they_are() -> None:
    async with world(Options(typed={"documents": TYPED}), partitions=(P0, OTHER)) as w:
        w.send(partition=OTHER)
        await w.until(w.results)
        (result,) = w.results("PROCESSED")
        assert "value" not in result


@virtually
async def test_with_oversize_fail_a_value_that_is_too_large_is_a_failure_on_the_routes_own_topic() -> None:
    async with world(Options(typed={"documents": TYPED}, limit=2500, oversize="fail")) as w:
        w.api.outputs = {"run_1": b'{"value":{"note":"' + b"x" * 3000 + b'"}}'}
        w.send()
        await w.until(lambda: w.kafka.topics[f"{TYPED_PREFIX}.failed"])
        (record,) = w.kafka.topics[f"{TYPED_PREFIX}.failed"]
        result = TYPED.codec.decode(record.value or b"")
        assert (result["status"], result["failure_reason"]) == ("FAILED", "CONNECTOR_RESULT_TOO_LARGE")
        assert (result["value"], result["output"], result["output_state"]) == (None, None, "omitted")
        assert w.sample("own_ends_total", reason="CONNECTOR_RESULT_TOO_LARGE") == 1
