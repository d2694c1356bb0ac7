"""Policies and value models: Hugging Face language models behind one small interface.

`policy` owns the rules by which texts become token ids; `backbone` and `logprobs` read, `sampling` writes, `adapters`
share weights between roles. Knows nothing of rewards. A new model family is made to fit in `backbone`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
