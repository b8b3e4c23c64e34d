"""A mock of the purchase API, with generated data."""
