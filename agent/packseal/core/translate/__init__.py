"""Translate: a Snapshot into the public data models of the battery passport, and back where a model can be read back.

One module per model, each with a `MODEL`; `MODELS` holds them by name. docs/exports.md is written from their tables.
"""

from packseal.core.translate import aas, battery_pass, catena_x, en18223, idta, ngsi_ld, provenance
from packseal.core.translate.subject import Document, LeftOut, Model, Slot, Subject

__all__ = ["MODELS", "Document", "LeftOut", "Model", "Slot", "Subject"]

MODELS: dict[str, Model] = {
    module.MODEL.name: module.MODEL for module in (idta, aas, battery_pass, catena_x, ngsi_ld, en18223, provenance)
}
