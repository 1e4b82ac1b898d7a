"""The operator's passport backend: the passport's dynamic values over EN 18222 or the AAS API, no sink between."""
