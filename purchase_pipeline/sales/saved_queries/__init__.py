"""Questions that people ask of the tables, as SQL to run or to start from: a file each, its purpose on top."""
