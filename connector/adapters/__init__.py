"""The outside world, one technology a file. A library's types and exceptions stop here."""
