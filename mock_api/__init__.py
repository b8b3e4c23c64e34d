"""A stand-in for the outside world: the purchase API, with made-up purchases."""
