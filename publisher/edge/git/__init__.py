"""Git repositories, through the user's own git."""

from publisher.edge.git.checkout import Checkout, has_history
from publisher.edge.git.clone import Clone
from publisher.edge.git.signatures import Signers, read_signers
from publisher.edge.git.store import is_url

__all__ = ["Checkout", "Clone", "Signers", "has_history", "is_url", "read_signers"]
