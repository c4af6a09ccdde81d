"""De-noising as a product: contract-shaped tables in, trusted preference pairs and a report out."""

from pipelines.denoising.denoise import (
    STEPS,
    Denoised,
    DenoiseSettings,
    denoise,
    preview_denoise,
)
from pipelines.denoising.run import DenoiseOptions, preview_run, run_denoise

__all__ = [
    "STEPS", "DenoiseOptions", "DenoiseSettings", "Denoised", "denoise", "preview_denoise",
    "preview_run", "run_denoise",
]  # fmt: skip
