"""Sales marts and the sales report."""
