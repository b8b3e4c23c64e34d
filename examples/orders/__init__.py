"""Daily orders from a paginated API: a feed. Described in docs/your-own-api.md."""
