"""The source of the Grafana dashboards: ``python -m helm.dashboards`` writes them into the chart.

A panel is one call with its title, its sentence and its queries; what Grafana wants around that is made here, once.
"""
