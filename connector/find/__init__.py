"""Between start and follow: find the run of a start that is unclear, or a second run of a document.

``core/lookup.py`` decides when a list is read and what its rows mean. A row is only a hint, as is whatever else names a
run: nothing is adopted or cancelled before the API's own GET of that run shows the whole tag.
"""

from connector.find.finder import Finder

__all__ = ["Finder"]
