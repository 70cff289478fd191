"""Authentication by API keys, scopes, and TLS."""
