from __future__ import annotations

import json

import pytest

from connector.core.answer import Answer, error_of


@pytest.mark.parametrize(("run_id", "names"), [("pr_1", ", run pr_1"), ("a b\n", ""), (7, ""), (None, "")])
def test_a_failed_call_names_the_run_that_exists_all_the_same(run_id: object, names: str) -> None:
    body = json.dumps({"code": "TIMED_OUT", "message": "no", "requestId": "req_1", "runId": run_id}).encode()
    text = str(error_of(Answer(504, {}, body), "POST /parse", 0.0))
    assert text.endswith(f"(request req_1{names})")
