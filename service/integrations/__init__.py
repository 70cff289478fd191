"""Retrievers for LangChain, LlamaIndex and Haystack; each module needs the extra of the same name."""
