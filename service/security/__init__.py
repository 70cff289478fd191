"""Authentication: API keys, their scopes, and TLS."""
