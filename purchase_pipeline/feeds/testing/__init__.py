"""A tests kit for feeds: `check_feed` loads sample answers as the feed would load its API's, and checks the result.

It needs no test framework: what is wrong is an AssertionError.
"""

from purchase_pipeline.feeds.testing.check import check_feed
from purchase_pipeline.feeds.testing.report import FeedReport, PartitionReport, Reject

__all__ = ["FeedReport", "PartitionReport", "Reject", "check_feed"]
