"""The routes: each parses, calls and returns."""
