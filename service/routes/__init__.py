"""The routes. Each parses its request, calls the engine and returns a response."""
