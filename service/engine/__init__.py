"""The open index behind the routes: dispatching, searching, reloading, compacting."""
