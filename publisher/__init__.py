"""GitOps config publisher for Karmada fleets behind Pipy proxies."""

__version__ = "0.1.0"
