"""Distillation: a static table learned from a transformer, many times as fast."""
