from django.contrib import admin

from .models import City


@admin.register(City)
class CityAdmin(admin.ModelAdmin):
    """Saving a city here warms its page up."""

    list_display = ["name", "country"]
    prepopulated_fields = {"slug": ["name"]}
