"""Contrastive training, and what all kinds of training share: loop, losses, checkpoints."""
