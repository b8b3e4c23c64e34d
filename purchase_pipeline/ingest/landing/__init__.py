"""Raw batches as files, as received: in a folder or in a bucket."""
