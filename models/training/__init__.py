"""Contrastive training, and what every kind of training shares."""
