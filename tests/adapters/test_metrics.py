"""The metrics: one definition each, labels from closed sets, an exposition that Prometheus can parse."""

from __future__ import annotations

import math
import threading
from typing import get_args

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from connector.adapters.http import Operation
from connector.adapters.metrics import OPERATIONS, OUTCOMES, PREFIX, WEBHOOK_RESULTS, Metrics
from connector.core.reasons import Reason
from connector.webhook.answers import STATUS

NAMES_OF_THE_DESIGN = {
    "records_consumed_total",
    "runs_started_total",
    "runs_finished_total",
    "runs_in_flight",
    "runs_in_flight_limit",
    "ready_documents",
    "parked_documents",
    "review_documents",
    "oldest_run_started_timestamp_seconds",
    "run_duration_seconds",
    "end_to_end_duration_seconds",
    "results_produced_total",
    "produce_errors_total",
    "dead_letters_total",
    "records_skipped_total",
    "unclear_starts_total",
    "starts_refused_total",
    "starts_stopped",
    "api_requests_total",
    "api_request_duration_seconds",
    "api_throttled_seconds_total",
    "poller_cycles_total",
    "poller_last_cycle_timestamp_seconds",
    "budget_share",
    "poller_due_runs",
    "consumer_lag_records",
    "assigned_partitions",
    "rebalances_total",
    "transactions_total",
    "transaction_duration_seconds",
    "fenced_transactions_total",
    "dropped_writes_total",
    "restore_seconds",
    "restored_documents_total",
    "restores_blocked",
    "stopped_partitions",
    "positions_reset_total",
    "credits_total",
    "loop_lag_seconds",
    "build_info",
}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(PREFIX + name, labels)


def test_every_metric_of_the_design_exists() -> None:
    names = {definition.name.removeprefix(PREFIX) for definition in Metrics().definitions}
    assert names >= NAMES_OF_THE_DESIGN


def test_every_metric_is_an_attribute_that_is_called_as_the_metric() -> None:
    metrics = Metrics()
    for definition in metrics.definitions:
        if definition.kind != "info":
            assert hasattr(metrics, definition.name.removeprefix(PREFIX).removesuffix("_total")), definition.name


def test_names_follow_the_conventions_of_prometheus() -> None:
    for definition in Metrics().definitions:
        assert definition.name.startswith(PREFIX)
        assert definition.name.endswith("_total") == (definition.kind == "counter"), definition.name
        assert definition.help.endswith("."), definition.name
        if definition.kind == "histogram":
            assert definition.name.endswith("_seconds"), definition.name


def test_two_metrics_live_in_one_process() -> None:
    first, second = Metrics(), Metrics()
    first.poller_cycles.inc()
    assert value(first, "poller_cycles_total") == 1
    assert value(second, "poller_cycles_total") == 0


def test_an_unknown_outcome_is_counted_as_other() -> None:
    metrics = Metrics()
    metrics.runs_finished.labels(route="invoices", outcome="PROCESSED").inc()
    metrics.runs_finished.labels(route="invoices", outcome="ARCHIVED_BY_NEXT_YEARS_API").inc()
    assert value(metrics, "runs_finished_total", route="invoices", outcome="PROCESSED") == 1
    assert value(metrics, "runs_finished_total", route="invoices", outcome="other") == 1


@pytest.mark.parametrize(
    "reason",
    [
        pytest.param("", id="empty"),
        pytest.param('could not decode {"iban": 1}', id="a sentence"),
        pytest.param("https://example.com/secret", id="a URL"),
        pytest.param("A" * 65, id="too long"),
        pytest.param("NO_FILE\n", id="a line end"),
    ],
)
def test_what_is_no_code_never_becomes_a_label(reason: str) -> None:
    metrics = Metrics()
    metrics.starts_refused.labels(reason=reason).inc()
    assert value(metrics, "starts_refused_total", reason="other") == 1


def test_every_reason_for_a_dead_letter_is_counted_under_its_code() -> None:
    metrics = Metrics()
    for reason in Reason:
        metrics.dead_letters.labels(reason=reason).inc()
        assert value(metrics, "dead_letters_total", reason=reason.value) == 1
    assert value(metrics, "dead_letters_total", reason="other") == 0


def test_every_operation_that_the_client_reports_has_its_series() -> None:
    assert {*get_args(Operation), "output"} == set(OPERATIONS)  # the last is what the downloader reports
    for operation in OPERATIONS:
        assert value(Metrics(), "api_request_duration_seconds_count", operation=operation) == 0


def test_every_result_of_a_webhook_has_its_series() -> None:
    assert set(WEBHOOK_RESULTS) == {str(result) for result in STATUS}


def test_codes_stop_growing_at_their_limit() -> None:
    metrics = Metrics()
    for number in range(1000):
        metrics.starts_refused.labels(reason=f"_CODE_{number}").inc()
    series = [
        sample
        for family in metrics.registry.collect()
        if family.name == f"{PREFIX}starts_refused"
        for sample in family.samples
    ]
    assert len(series) == 65
    assert value(metrics, "starts_refused_total", reason="_CODE_0") == 1
    assert value(metrics, "starts_refused_total", reason="other") == 1000 - 64


def test_a_forgotten_label_is_named() -> None:
    with pytest.raises(ValueError, match=r"\['outcome', 'route'\], not \['route'\]"):
        Metrics().runs_finished.labels(route="invoices")


def test_series_of_closed_sets_exist_before_the_first_event() -> None:
    metrics = Metrics()
    assert value(metrics, "transactions_total", end="unclear") == 0
    assert value(metrics, "records_skipped_total", reason="tombstone") == 0
    assert value(metrics, "api_requests_total", operation="create", code="401") == 0
    assert value(metrics, "end_to_end_duration_seconds_count", outcome="PROCESSED") == 0


def test_series_of_the_configuration_exist_once_it_is_known() -> None:
    metrics = Metrics()
    assert value(metrics, "runs_started_total", route="invoices") is None
    metrics.prepare(routes=["invoices"], inputs=["documents"], outputs=["documents.processed"])
    assert value(metrics, "runs_started_total", route="invoices") == 0
    assert value(metrics, "records_consumed_total", topic="documents") == 0
    assert value(metrics, "results_produced_total", topic="documents.processed") == 0
    assert value(metrics, "starts_stopped", route="invoices", reason="breaker") == 0
    for outcome in OUTCOMES:
        assert value(metrics, "runs_finished_total", route="invoices", outcome=outcome) == 0


def test_the_series_of_a_revoked_partition_go_away() -> None:
    metrics = Metrics()
    metrics.consumer_lag_records.labels(topic="documents", partition=3).set(7)
    assert value(metrics, "consumer_lag_records", topic="documents", partition="3") == 7
    metrics.consumer_lag_records.remove(topic="documents", partition=3)
    metrics.consumer_lag_records.remove(topic="documents", partition=3)
    assert value(metrics, "consumer_lag_records", topic="documents", partition="3") is None


def test_no_open_run_is_not_a_run_that_is_as_old_as_the_epoch() -> None:
    oldest = value(Metrics(), "oldest_run_started_timestamp_seconds")
    assert oldest is not None
    assert math.isnan(oldest)


def test_bounds_of_runs_reach_from_a_second_to_eight_hours() -> None:
    metrics = Metrics()
    metrics.end_to_end_duration_seconds.labels(outcome="PROCESSED").observe(20_000)
    assert value(metrics, "end_to_end_duration_seconds_bucket", outcome="PROCESSED", le="14400.0") == 0
    assert value(metrics, "end_to_end_duration_seconds_bucket", outcome="PROCESSED", le="28800.0") == 1


def test_the_build_is_described() -> None:
    metrics = Metrics(librdkafka="2.16.0")
    (family,) = [family for family in metrics.registry.collect() if family.name == f"{PREFIX}build"]
    (sample,) = family.samples
    assert sample.value == 1
    assert set(sample.labels) == {"version", "librdkafka", "python"}
    assert sample.labels["librdkafka"] == "2.16.0"


def test_the_exposition_is_read_by_prometheus_own_parser() -> None:
    metrics = Metrics()
    metrics.prepare(routes=['a "quoted" route'], inputs=["documents"], outputs=["documents.processed"])
    body, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    families = {family.name: family for family in parse_text(body.decode())}
    assert f"{PREFIX}records_consumed" in families
    assert {"process_resident_memory_bytes", "process_open_fds"} <= families.keys()
    assert not [name for name in families if name.endswith("_created")]


def test_open_metrics_is_spoken_to_who_asks_for_it() -> None:
    body, content_type = Metrics().render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    families = openmetrics.text_string_to_metric_families(body.decode())  # type: ignore[no-untyped-call]  # upstream
    assert f"{PREFIX}transactions" in {family.name for family in families}


def test_counts_of_many_threads_add_up() -> None:
    metrics = Metrics()

    def count() -> None:
        for number in range(500):
            metrics.api_requests.labels(operation="get", code=200 + number % 5).inc()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(value(metrics, "api_requests_total", operation="get", code=str(200 + n)) or 0 for n in range(5)) == 2000
