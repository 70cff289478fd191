"""The HTTP layer around the application: server, protocol and middleware."""
