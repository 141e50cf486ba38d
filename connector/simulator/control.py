"""``/_simulator/…``: what the real API does not have. No key is asked for; the server listens on loopback."""

from __future__ import annotations

import msgspec

from connector.simulator.delivery import Answer
from connector.simulator.engine import Engine, Request
from connector.simulator.objects import output_of
from connector.simulator.refusals import Refusal, invalid, not_found
from connector.simulator.rules import parse_rules

_PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)
"""An empty page: what an edited file's link gives."""


OUTPUTS = "/_simulator/outputs/"
"""Where the links to outputs lead."""


def control(engine: Engine, request: Request) -> Answer:
    """Answer a request for the simulator itself.

    ``GET ledger`` and ``GET withheld`` (JSON lines), ``GET statistics``, ``GET``, ``POST`` and ``DELETE faults``,
    ``GET outputs/<run>`` and ``GET files/<file>.pdf`` (the links in run objects).

    Raises:
        Refusal: 400 or 404.
    """
    parts = request.path.removeprefix("/_simulator/").split("/")
    match request.method, parts:
        case "GET", ["ledger"]:
            return Answer(200, engine.ledger.lines(), content_type="application/x-ndjson")
        case "GET", ["withheld"]:
            return Answer(200, engine.withheld.lines(), content_type="application/x-ndjson")
        case "GET", ["statistics"]:
            return Answer(200, msgspec.json.encode(engine.report()))
        case "GET", ["faults"]:
            return _faults(engine)
        case "POST", ["faults"]:
            try:
                rules = parse_rules(request.body)
            except ValueError as error:
                raise invalid(str(error)) from error
            engine.faults.install(rules, engine.clock.monotonic())
            return _faults(engine)
        case "DELETE", ["faults"]:
            engine.faults.clear()
            return _faults(engine)
        case "GET", ["outputs", run_id]:
            return Answer(200, _output(engine, run_id))
        case "GET", ["files", _]:
            return Answer(200, _PDF, content_type="application/pdf")
        case _:
            raise not_found("The simulator has ledger, withheld, statistics and faults.")


def _faults(engine: Engine) -> Answer:
    return Answer(200, msgspec.json.encode({"rules": engine.faults.report()}))


def _output(engine: Engine, run_id: str) -> bytes:
    run = engine.find("parse", run_id)
    if run.status != "PROCESSED":
        raise Refusal(404, "This run has no output.")
    return msgspec.json.encode(output_of(run))
