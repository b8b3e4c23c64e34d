"""How fast it is, measured: each figure beside others of the same run, for machines differ and are noisy."""
