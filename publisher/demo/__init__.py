"""The embedded fleet: a Karmada API server and its members, for `publisher demo` and the tests."""
