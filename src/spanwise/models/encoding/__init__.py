"""Texts and conversations as token ids: the one place where a prompt becomes what a model reads.

Policies and reward models, in training and in serving, encode prompts here. A new form of prompts is a name in
`spanwise.feedback.PromptConfig` and a branch of `PromptEncoder`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
