"""Requests and answers of the HTTP interface, a module for each group of routes."""
