"""How fast requests may go: the plan, our share of it, and what a 429 does."""
