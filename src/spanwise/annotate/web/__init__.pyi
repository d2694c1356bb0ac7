from .app import create_app as create_app
from .openapi import api_description as api_description
from .watch import log_requests as log_requests
