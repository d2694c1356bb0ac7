from .plain import Offsets as Offsets
from .plain import TextEncoder as TextEncoder
from .prompts import PromptEncoder as PromptEncoder
from .prompts import form_of as form_of
from .prompts import keep_form as keep_form
from .prompts import stored_form as stored_form
