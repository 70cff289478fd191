"""Compiled inner loops: gather, dot product, selection and merging over rows."""
