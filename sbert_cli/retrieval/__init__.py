"""Exact and approximate search over vectors."""
