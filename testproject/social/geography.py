"""Places and distances."""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, cos, radians, sin, sqrt

EARTH_RADIUS = 6371.0


def distance(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Kilometres along the surface of the earth (haversine)."""
    phi, other_phi = radians(latitude), radians(other_latitude)
    across = sin(radians(other_latitude - latitude) / 2) ** 2
    along = cos(phi) * cos(other_phi) * sin(radians(other_longitude - longitude) / 2) ** 2
    return 2 * EARTH_RADIUS * asin(sqrt(min(1.0, across + along)))


@dataclass(frozen=True)
class Place:
    """A city, and where it is."""

    name: str
    country: str
    latitude: float
    longitude: float


PLACES = (
    Place("Amsterdam", "Netherlands", 52.3728, 4.8936),
    Place("Barcelona", "Spain", 41.3874, 2.1686),
    Place("Berlin", "Germany", 52.5200, 13.4050),
    Place("Cape Town", "South Africa", -33.9249, 18.4241),
    Place("Lisbon", "Portugal", 38.7223, -9.1393),
    Place("London", "United Kingdom", 51.5072, -0.1276),
    Place("Melbourne", "Australia", -37.8136, 144.9631),
    Place("Nairobi", "Kenya", -1.2921, 36.8219),
    Place("New York", "United States", 40.7128, -74.0060),
    Place("Paris", "France", 48.8566, 2.3522),
    Place("São Paulo", "Brazil", -23.5558, -46.6396),
    Place("Tokyo", "Japan", 35.6764, 139.6500),
)


def nearest_city(latitude: float, longitude: float) -> str:
    """The name of the city that is nearest."""
    return min(PLACES, key=lambda place: distance(latitude, longitude, place.latitude, place.longitude)).name
