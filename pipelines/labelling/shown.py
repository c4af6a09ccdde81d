"""What annotators see of one generation: its text, or where its picture or film lies."""

from backbone.films import film_timing, is_film
from data_contracts.ids import Digest
from pipelines.labelling.planning import Shown
from pipelines.stores import Stores


def shown_media(stores: Stores, generation_id: str, blob: str) -> Shown:
    """Describe a picture or film; which it is, and a film's frames, its own bytes say.

    Args:
        stores: the zone's.
        generation_id: whose media these are.
        blob: their digest.

    Raises:
        FlywheelError: a film that cannot be read.
    """
    content = stores.blobs.get(Digest(blob))
    if not is_film(content):
        return Shown(generation_id=generation_id, modality="image", blob=blob)
    frames, rate = film_timing(content)
    return Shown(generation_id=generation_id, modality="video", blob=blob, frames=frames, fps=rate)
