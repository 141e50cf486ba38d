"""The demo: worker, simulated API and a broker in one process, on references that ship with the connector."""
