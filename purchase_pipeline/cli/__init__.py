"""The command line `purchase-pipeline`: thin commands; an expected error becomes one line and an exit code."""
