from typing import Any

from django.core.management.base import BaseCommand

from demo import sample


class Command(BaseCommand):
    help = "Fill an empty database with members, cities and products."

    def handle(self, *args: Any, **options: Any) -> None:
        loaded = sample.load()
        self.stdout.write("Sample data loaded." if loaded else "There is data in the database already.")
