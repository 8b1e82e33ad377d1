"""For every test: no example of a property is judged by how long it took."""

from hypothesis import HealthCheck, settings

settings.register_profile("attend", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("attend")
