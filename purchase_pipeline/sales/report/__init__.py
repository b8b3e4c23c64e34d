"""The sales report: one HTML file that needs nothing else."""
