"""The simulated Extend API: a product part, for the demo, for tests and for trying a configuration.

It speaks the documented API, version 2026-02-09, for the six run types. From the inside out:

    settings, rules          what somebody asked for: lifetimes, limits, faults
    faults, limits           which request is hit or held back
    timeline, run            one run: what will become of it, and what it is now
    documents, extraction,
      processors, outputs    what a run's input says, and what the run makes of it
    objects, workflows, rows the API's JSON: full objects and list rows; fields, usage: what they share
    store, pages             all runs, their order, lists and page tokens
    ledger, statistics       what was created, and what was asked
    validation, refusals     which bodies are refused, and how
    engine                   one request in, one answer out; no sockets
    app, delivery, server    HTTP, and the faults that only a socket can show

Everything up to the engine gets the time as an argument and its randomness from a seed.
"""
