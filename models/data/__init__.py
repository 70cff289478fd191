"""Reading what models are trained on and measured with: rows, pairs, labelled texts, images."""
