"""Step 3, follow: one shared loop for all open runs.

``core/follow/following.py`` decides what is asked next and when; here it is asked, within the GET budget. No task per
run: 20,000 of them would cost four times the memory and could not be put in order under a budget.
"""

from connector.follow.follower import Follower

__all__ = ["Follower"]
