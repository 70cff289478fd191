"""An index on disk: generations, manifest, vectors, documents and the journal of updates."""
