"""The open index behind the routes: dispatch, search, reload, compaction."""
