"""Git repositories, through the user's own git."""

from publisher.edge.git.checkout import Checkout
from publisher.edge.git.clone import Clone
from publisher.edge.git.store import is_url

__all__ = ["Checkout", "Clone", "is_url"]
