"""Typed results: from a JSON Schema to an Avro record, and from the API's JSON to its values."""
