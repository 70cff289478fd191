"""Requests and responses of the HTTP API, a module for each group of routes."""
