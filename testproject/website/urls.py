"""Every address of the site."""

from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.urls import include, path

from . import views

website = ([path("", views.home, name="home"), path("arrived/", views.arrived, name="arrived")], "website")

urlpatterns = [
    path("", include(website)),
    path("accounts/", include("accounts.urls")),
    path("social/", include("social.urls")),
    path("photos/", include("photos.urls")),
    path("cities/", include("pages.urls")),
    path("shop/", include("shop.urls")),
    path("admin/", admin.site.urls),
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
]
