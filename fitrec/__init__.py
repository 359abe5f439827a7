"""fitrec fits spiking networks to neural recordings."""

__version__ = "0.1.0"
