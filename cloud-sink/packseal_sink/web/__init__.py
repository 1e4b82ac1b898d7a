"""What the sink serves over HTTP: the exchange, the JSON API and the page."""
