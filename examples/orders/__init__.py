"""Daily orders from a paginated API. Described in docs/your-own-api.md."""
