"""The HTTP layer around the application: server, limits and middleware."""
