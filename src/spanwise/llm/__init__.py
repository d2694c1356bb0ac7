"""Calls to language models behind an endpoint: requests, clients, and a book of replies that survives a kill."""
