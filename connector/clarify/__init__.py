"""What becomes of a start that left it unclear whether a run exists.

Four voices can settle it, whichever comes first: the API's lists, where the run is looked up by its tag; a fact, what a
former owner knows of its POST; an answer that came after its deadline; and a person, by a command. Until one does,
the document stays an ``intent``, and from the end of the settle window on it is ``parked``. Every voice names the POST
that it means by its nonce, and one decision about a document is carried out at a time, so none can buy a second run.
"""

from connector.clarify.clarifier import UNCLEAR, Clarifier

__all__ = ["UNCLEAR", "Clarifier"]
