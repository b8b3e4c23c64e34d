"""The `purchase-pipeline` command line: thin commands that turn expected errors into one line and an exit code."""
