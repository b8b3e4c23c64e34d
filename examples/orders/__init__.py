"""Orders, a day at a time, out of an API that answers in pages. Its page: docs/your-own-api.md."""
