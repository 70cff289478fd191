"""Readers of training and evaluation data: rows, pairs, labelled texts, images, vectors."""
