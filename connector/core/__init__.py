"""Decisions as functions of values: no sockets, threads, clocks, randomness, environment or logging.

Time and randomness are arguments. Everything here can be tested without an event loop.
"""
