"""Stand-ins for models, servers, worlds and people, shared by the tests."""
