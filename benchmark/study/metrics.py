"""Names in the lines of ``metrics.jsonl`` that somebody reads again.

Those that end in ``/`` are followed by the name of a domain.
"""

DOMAIN_SHARE = "domain_share/"
"""Share of the generic rows trained on since the line before that are of the domain."""

DOMAIN_SEEN = "domain_seen/"
"""Share of the domain's rows that have been trained on so far."""

DOMAIN_WEIGHT = "domain_weight/"
"""Weight of the domain in the mixture that the main model trains on."""

PROXY_WEIGHT = "proxy_weight/"
"""Weight of the domain in the proxy's training, as far through it as the run is."""

WEIGHTS_ENTROPY = "weights_entropy"
"""Entropy in nats of the weights over the big batch, of methods that draw rows by weight."""
