"""The listing of a folder: what stands in it, as a page and as JSON."""
