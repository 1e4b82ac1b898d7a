"""Translate: a Snapshot into the public data models of the battery passport, and back where a model can be read back.

One module per model; `MODELS` holds them by name. docs/exports.md is written from their tables.
"""

from packseal.core.translate import aas, battery_pass, catena_x, en18223, idta, idta_parts, ngsi_ld, provenance
from packseal.core.translate.subject import Document, LeftOut, Model, Slot, Subject

__all__ = ["MODELS", "Document", "LeftOut", "Model", "Slot", "Subject"]

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        idta.MODEL,
        idta_parts.PART_4,
        idta_parts.PART_1,
        aas.MODEL,
        battery_pass.MODEL,
        catena_x.MODEL,
        ngsi_ld.MODEL,
        en18223.MODEL,
        provenance.MODEL,
    )
}
