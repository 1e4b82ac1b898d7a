"""The sink: verifies, stores and serves what gateways send."""
