"""Avro and JSON as bytes, from strangers and for them: what is read, and what is refused before it is."""
