from django.contrib import admin

from .models import Photo, Thumbnail

admin.site.register([Photo, Thumbnail])
