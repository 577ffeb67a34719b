"""Our speed held against sentence-transformers, side by side in one process: `make bench`."""
