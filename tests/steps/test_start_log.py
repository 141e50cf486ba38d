"""What the log says about starts that the API forbids."""

from __future__ import annotations

from structlog.testing import capture_logs

from connector.core.errors import ApiForbidden
from tests.fakes.api import Answer
from tests.fakes.virtual_time import virtually
from tests.steps.world import world


@virtually
async def test_a_forbidden_start_names_the_key_and_the_way_out() -> None:
    with capture_logs() as lines:
        async with world() as w:
            w.api.script.append(Answer(ApiForbidden("no", status=401, code="UNAUTHORIZED")))
            w.send()
            await w.until(w.results)
    (line,) = [line for line in lines if line["event"] == "starts_forbidden"]
    assert line["code"] == "UNAUTHORIZED"
    assert "extend.api_key_file" in line["way_out"]
    assert "EXTEND_API_KEY" in line["way_out"]
