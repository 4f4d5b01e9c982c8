"""Slow, obvious NumPy in float64: what the engines are held against."""
