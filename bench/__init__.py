"""The bench: this project's server beside two baselines and a yardstick, under the same load (`make bench`)."""
