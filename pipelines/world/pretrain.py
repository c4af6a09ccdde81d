"""Makes the tiny base checkpoint again: the picture tokenizer first, then the language model.

    python -m pipelines.world.pretrain --out FOLDER

The base model learns a mixture of good and flawed scenes to the plateau of its held-out
likelihood: competent and undiscriminating, as raw pre-trained models are.
"""
