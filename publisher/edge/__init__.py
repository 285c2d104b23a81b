"""Everything that talks to something. Edges never import each other."""
