"""A new feed from one response of an API: what it has, how sure that is, and the files of the feed."""
